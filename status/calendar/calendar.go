// Package calendar writes a schedule as a calendar that people subscribe to: iCalendar, RFC 5545 and RFC 5546.
package calendar

import (
	"maps"
	"slices"
	"strings"

	ics "github.com/arran4/golang-ical"

	"github.com/msupply-foundation/conforma-status/status"
)

// FileName is the name of the calendar, beside schedule.json.
const FileName = "maintenance.ics"

// MediaType is what it is served as: RFC 5545, section 8.1.
const MediaType = "text/calendar; charset=utf-8"

// refresh is how often a program should look for changes, as a DURATION: RFC 7986, section 5.7.
const refresh = "PT1H"

// Site is what the calendar says of the site.
type Site struct {
	Name    string // as in the configuration; part of each event's UID
	Title   string // what visitors know it by, its host name for one
	PageURL string
}

// Of is the calendar of a site's schedule. It is pure: the same schedule gives the same bytes. Each window is an event
// whose UID stays and whose SEQUENCE grows; one that was cancelled, or missed, is STATUS:CANCELLED for as long as the
// schedule has it.
func Of(s status.Schedule, site Site) []byte {
	c := ics.NewCalendarFor("conforma-status")
	c.SetProductId("-//mSupply Foundation//conforma-status//EN")
	c.SetMethod(ics.MethodPublish)
	c.SetName("Maintenance: " + site.Title)
	c.SetXWRCalName("Maintenance: " + site.Title)
	c.SetRefreshInterval(refresh)
	c.SetXPublishedTTL(refresh)
	for _, w := range s.Windows {
		e := c.AddEvent(w.ID + "." + site.Name + "@conforma-status")
		e.SetSequence(int(w.Sequence))
		e.SetDtStampTime(w.UpdatedAt)
		e.SetModifiedAt(w.UpdatedAt)
		// RFC 5546, section 3.2.1, wants one. It may be any URI; SetOrganizer would make it an address for mail.
		e.SetProperty(ics.ComponentPropertyOrganizer, site.PageURL)
		e.SetStartAt(w.From)
		e.SetEndAt(w.Until)
		e.SetSummary("Maintenance: " + site.Title)
		e.SetDescription(description(w, site.PageURL))
		e.SetURL(site.PageURL)
		e.SetTimeTransparency(ics.TransparencyTransparent) // nobody is busy because of it
		if w.State == status.WindowCancelled || w.State == status.WindowMissed {
			e.SetStatus(ics.ObjectStatusCancelled)
		} else {
			e.SetStatus(ics.ObjectStatusConfirmed)
		}
	}
	return []byte(c.Serialize(ics.WithNewLineWindows))
}

// description is what visitors are told, in every language that there is, and where they find more.
func description(w status.ScheduledWindow, pageURL string) string {
	var texts []string
	if w.Message != nil {
		texts = append(texts, *w.Message)
	}
	for _, tag := range slices.Sorted(maps.Keys(w.Messages)) {
		texts = append(texts, w.Messages[tag])
	}
	return strings.Join(append(texts, pageURL), "\n\n")
}
