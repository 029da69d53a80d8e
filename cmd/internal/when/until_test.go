package when

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestUntilOfClocksThatChange: windows around each time at which clocks are put forward or back, as they are
// announced: in UTC.
func TestUntilOfClocksThatChange(t *testing.T) {
	now := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ zone, from, until, wantFrom, wantUntil string }{
		// Put forward: the hour, or half hour, is left out.
		{"Europe/Berlin", "2027-03-28 01:30", "2027-03-28 03:30", "2027-03-28T00:30:00Z", "2027-03-28T01:30:00Z"},
		{"Europe/Berlin", "2027-03-28 01:59", "03:00", "2027-03-28T00:59:00Z", "2027-03-28T01:00:00Z"},
		{"America/New_York", "2027-03-14 01:30", "03:30", "2027-03-14T06:30:00Z", "2027-03-14T07:30:00Z"},
		{"Pacific/Auckland", "2027-09-26 01:30", "03:30", "2027-09-25T13:30:00Z", "2027-09-25T14:30:00Z"},
		{"Australia/Lord_Howe", "2027-10-03 01:45", "02:45", "2027-10-02T15:15:00Z", "2027-10-02T15:45:00Z"},
		// Put back: it comes twice. Across it, and with the offset that says which is meant.
		{"Europe/Berlin", "2027-10-31 01:30", "03:30", "2027-10-30T23:30:00Z", "2027-10-31T02:30:00Z"},
		{"Europe/Berlin", "2027-10-31T02:30:00+02:00", "2027-10-31T02:30:00+01:00", "2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z"},
		{"America/New_York", "2027-11-07 00:30", "02:30", "2027-11-07T04:30:00Z", "2027-11-07T07:30:00Z"},
		{"Pacific/Auckland", "2027-04-04 01:30", "03:30", "2027-04-03T12:30:00Z", "2027-04-03T15:30:00Z"},
		{"Australia/Lord_Howe", "2027-04-04 01:15", "02:15", "2027-04-03T14:15:00Z", "2027-04-03T15:45:00Z"},
		// Where clocks are left alone, over midnight, and by a date.
		{"UTC", "2027-03-28 02:30", "03:30", "2027-03-28T02:30:00Z", "2027-03-28T03:30:00Z"},
		{"UTC", "2027-03-28 23:30", "00:30", "2027-03-28T23:30:00Z", "2027-03-29T00:30:00Z"},
		{"Pacific/Auckland", "2027-12-05 22:00", "2027-12-06 01:00", "2027-12-05T09:00:00Z", "2027-12-05T12:00:00Z"},
	} {
		zoned := now.In(zone(t, c.zone))
		from, err := Parse(c.from, zoned)
		if err != nil || from.Format(time.RFC3339) != c.wantFrom {
			t.Errorf("from %s in %s is %v, %v; want %s", c.from, c.zone, from, err, c.wantFrom)
			continue
		}
		until, err := Until(c.until, from, zoned)
		if err != nil || until.Format(time.RFC3339) != c.wantUntil {
			t.Errorf("from %s until %s in %s is %v, %v; want %s", c.from, c.until, c.zone, until, err, c.wantUntil)
		}
	}
}

// TestUntilRefuses: ends that are none, and times that clocks never show, or twice.
func TestUntilRefuses(t *testing.T) {
	now := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		zone, from, until string
		is                error
		says              string
	}{
		{"UTC", "2027-03-28 02:30", "2027-03-28 02:30", ErrEndsBefore, "ends before it begins"},
		{"UTC", "2027-03-28 02:30", "2027-03-27 02:30", ErrEndsBefore, "ends before it begins"},
		{"UTC", "2027-03-28 02:30", "2020-01-01 00:00", ErrEndsBefore, "ends before it begins"},
		{"UTC", "2h", "1h", ErrEndsBefore, "ends before it begins"},
		{"UTC", "2h", "later", ErrRead, "can't read the time"},
		{"UTC", "2h", "400d", ErrRead, "more than a year ahead"},
		{"Europe/Berlin", "2027-03-28 01:30", "2027-03-28 02:30", ErrRead, "never show"},
		{"Europe/Berlin", "2027-10-31 01:30", "2027-10-31 02:30", ErrRead, "2027-10-31T02:30:00+02:00 or 2027-10-31T02:30:00+01:00"},
		{"Europe/Berlin", "2027-03-28 01:00", "02:30", ErrRead, "never show"},
		{"Europe/Berlin", "2027-03-27 22:00", "02:30", ErrRead, "never show"},
		{"Europe/Berlin", "2027-10-31 01:30", "02:30", ErrRead, "2027-10-31T02:30:00+02:00 or 2027-10-31T02:30:00+01:00"},
		{"America/New_York", "2027-11-07 00:30", "2027-11-07 01:30", ErrRead, "twice"},
		{"Pacific/Auckland", "2027-04-04 01:30", "2027-04-04 02:30", ErrRead, "twice"},
		{"Australia/Lord_Howe", "2027-10-03 01:30", "2027-10-03 02:15", ErrRead, "never show"},
	} {
		zoned := now.In(zone(t, c.zone))
		from, err := Parse(c.from, zoned)
		if err != nil {
			t.Errorf("from %s in %s: %v", c.from, c.zone, err)
			continue
		}
		if until, err := Until(c.until, from, zoned); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("from %s until %s in %s is %v, %v; want %q", c.from, c.until, c.zone, until, err, c.says)
		}
	}
}
