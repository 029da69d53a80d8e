package when

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the time zones below, also where the machine has none
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestParse(t *testing.T) {
	const noon = "2026-11-22T12:00:00Z"
	for _, c := range []struct{ now, zone, when, want string }{
		// durations
		{noon, "UTC", "30m", "2026-11-22T12:30:00Z"},
		{noon, "UTC", "1h30m", "2026-11-22T13:30:00Z"},
		{noon, "UTC", "1d", "2026-11-23T12:00:00Z"},
		{noon, "UTC", "1w2d3h4m5s", "2026-12-01T15:04:05Z"},
		{noon, "UTC", "1.5h", "2026-11-22T13:30:00Z"},
		{noon, "UTC", "+10m", "2026-11-22T12:10:00Z"}, // to set; extend counts from the ETA that is announced
		{noon, "UTC", "90s", "2026-11-22T12:01:30Z"},
		{noon, "UTC", " 30m\n", "2026-11-22T12:30:00Z"},
		{noon, "UTC", "366d", "2027-11-23T12:00:00Z"},
		{"2026-11-22T12:00:00.9Z", "UTC", "30m", "2026-11-22T12:30:00Z"},
		{noon, "Pacific/Auckland", "30m", "2026-11-22T12:30:00Z"},
		// a day is 24 hours, also when clocks are put back meanwhile
		{"2026-10-31T12:00:00Z", "America/New_York", "1d", "2026-11-01T12:00:00Z"},

		// times of day: the next one
		{noon, "UTC", "18:30", "2026-11-22T18:30:00Z"},
		{noon, "UTC", "12:01", "2026-11-22T12:01:00Z"},
		{noon, "UTC", "12:00", "2026-11-23T12:00:00Z"},
		{noon, "UTC", "11:59", "2026-11-23T11:59:00Z"},
		{"2026-11-22T11:59:59.5Z", "UTC", "12:00", "2026-11-22T12:00:00Z"},
		{noon, "UTC", "00:00", "2026-11-23T00:00:00Z"},
		{noon, "UTC", "9:05", "2026-11-23T09:05:00Z"},
		{"2026-11-22T23:59:59Z", "UTC", "00:00", "2026-11-23T00:00:00Z"},
		{"2026-11-22T23:59:00Z", "UTC", "23:59", "2026-11-23T23:59:00Z"},
		{"2026-11-22T00:00:00Z", "UTC", "00:00", "2026-11-23T00:00:00Z"},
		{"2026-11-22T00:00:00Z", "UTC", "00:01", "2026-11-22T00:01:00Z"},
		{"2026-12-31T23:30:00Z", "UTC", "00:15", "2027-01-01T00:15:00Z"},
		{"2028-02-28T23:30:00Z", "UTC", "00:15", "2028-02-29T00:15:00Z"},
		// in the operator's time zone: 01:00 on the 23rd in Auckland
		{noon, "Pacific/Auckland", "18:30", "2026-11-23T05:30:00Z"},
		{noon, "Pacific/Auckland", "00:30", "2026-11-23T11:30:00Z"},
		{noon, "Asia/Kolkata", "18:30", "2026-11-22T13:00:00Z"},
		// clocks are put forward at 02:00 on 8 March 2026: 02:30 is not shown that day
		{"2026-03-08T07:15:00Z", "America/New_York", "02:30", "2026-03-09T06:30:00Z"},
		{"2026-03-08T06:00:00Z", "America/New_York", "03:00", "2026-03-08T07:00:00Z"},
		{"2026-03-08T06:00:00Z", "America/New_York", "01:30", "2026-03-08T06:30:00Z"},
		{"2026-03-08T06:45:00Z", "America/New_York", "01:30", "2026-03-09T05:30:00Z"},
		{"2026-03-07T17:00:00Z", "America/New_York", "12:00", "2026-03-08T16:00:00Z"},
		// clocks are put back at 02:00 on 1 November 2026: 01:30 is shown twice
		{"2026-10-31T05:00:00Z", "America/New_York", "01:30", "2026-10-31T05:30:00Z"},
		{"2026-11-01T06:30:00Z", "America/New_York", "01:30", "2026-11-02T06:30:00Z"},
		{"2026-11-01T05:45:00Z", "America/New_York", "02:00", "2026-11-01T07:00:00Z"},
		{"2026-10-31T16:00:00Z", "America/New_York", "12:00", "2026-11-01T17:00:00Z"},
		// by half an hour on Lord Howe Island, from 02:00 to 01:30 on 5 April 2026
		{"2026-04-04T15:20:00Z", "Australia/Lord_Howe", "01:45", "2026-04-05T15:15:00Z"},
		{"2026-04-04T14:40:00Z", "Australia/Lord_Howe", "02:00", "2026-04-04T15:30:00Z"},
		// at midnight in Santiago, put forward on 6 September 2026: that day begins at 01:00
		{"2026-09-05T04:30:00Z", "America/Santiago", "01:00", "2026-09-05T05:00:00Z"},
		{"2026-09-05T05:30:00Z", "America/Santiago", "01:00", "2026-09-06T04:00:00Z"},
		{"2026-09-06T03:00:00Z", "America/Santiago", "01:00", "2026-09-06T04:00:00Z"},

		// as people say them
		{noon, "UTC", "30min", "2026-11-22T12:30:00Z"},
		{noon, "UTC", "30mins", "2026-11-22T12:30:00Z"},
		{noon, "UTC", "90m", "2026-11-22T13:30:00Z"},
		{noon, "UTC", "1h30min", "2026-11-22T13:30:00Z"},
		{noon, "UTC", "5min30s", "2026-11-22T12:05:30Z"},
		{noon, "UTC", "6pm", "2026-11-22T18:00:00Z"},
		{noon, "UTC", "6:30pm", "2026-11-22T18:30:00Z"},
		{noon, "UTC", "6:30 PM", "2026-11-22T18:30:00Z"},
		{noon, "UTC", "06:30am", "2026-11-23T06:30:00Z"},
		{noon, "UTC", "12am", "2026-11-23T00:00:00Z"},
		{noon, "UTC", "12:30pm", "2026-11-22T12:30:00Z"},

		// dates
		{noon, "UTC", "2026-12-01 18:30", "2026-12-01T18:30:00Z"},
		{noon, "UTC", "2026-12-01  6:30pm", "2026-12-01T18:30:00Z"},
		{noon, "Pacific/Auckland", "2026-12-01 18:30", "2026-12-01T05:30:00Z"},
		{noon, "Asia/Kolkata", "2026-12-01 00:00", "2026-11-30T18:30:00Z"},
		{noon, "Asia/Kolkata", "2026-12-01 18:30Z", "2026-12-01T18:30:00Z"},
		{noon, "Asia/Kolkata", "2026-12-01 18:30 +13:00", "2026-12-01T05:30:00Z"},
		{"2026-03-01T00:00:00Z", "America/New_York", "2026-03-08 01:59", "2026-03-08T06:59:00Z"},
		{"2026-03-01T00:00:00Z", "America/New_York", "2026-03-08 03:00", "2026-03-08T07:00:00Z"},
		{"2026-10-01T00:00:00Z", "America/New_York", "2026-11-01 00:59", "2026-11-01T04:59:00Z"},
		{"2026-10-01T00:00:00Z", "America/New_York", "2026-11-01 02:00", "2026-11-01T07:00:00Z"},
		{"2026-10-01T00:00:00Z", "America/New_York", "2026-11-01 01:30-04:00", "2026-11-01T05:30:00Z"},
		{"2026-10-01T00:00:00Z", "America/New_York", "2026-11-01 01:30 -05:00", "2026-11-01T06:30:00Z"},
		{"2026-10-01T00:00:00Z", "America/New_York", "2026-11-01T01:30:00-05:00", "2026-11-01T06:30:00Z"},

		// RFC 3339
		{noon, "UTC", "2026-11-22T12:00:01Z", "2026-11-22T12:00:01Z"},
		{noon, "Pacific/Auckland", "2026-11-23T18:30:00+13:00", "2026-11-23T05:30:00Z"},
		{noon, "UTC", "2026-11-22T12:30:00.999Z", "2026-11-22T12:30:00Z"},
		{noon, "UTC", "2026-11-22T12:30:00-00:30", "2026-11-22T13:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(c.when, now.In(zone(t, c.zone)))
		if err != nil || got.Format(time.RFC3339Nano) != c.want || got.Location() != time.UTC {
			t.Errorf("%q at %s in %s is %s, %v; want %s", c.when, c.now, c.zone, got.Format(time.RFC3339Nano), err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 250, time.UTC)
	for _, c := range []struct {
		is   error
		when []string
	}{
		{ErrPast, []string{
			"-30m", "-30min", "-1d", "2026-11-22 12:00", "2026-11-21 18:30", "-0s", "0", "0m", "0d", "1ms", "900ms", "249ns", "2026-11-22T12:00:00Z", "2026-11-22T11:59:59Z", "2025-11-22T12:30:00Z",
			"2026-11-22T12:30:00+01:00", "2026-11-22T12:00:00.5Z", "0000-01-01T00:00:00Z",
		}},
		{ErrRead, []string{
			"", " ", "soon", "tomorrow", "30", "30 m", "30 minutes", "half an hour", "m", "1h30", "1y", "1mo", "1M", "30M", "1h-30m", "+ 30m", "--30m", "1e3s", "0x1h",
			"1,5h", "Infs", "NaN", ".", ".h", "24:00", "12:60", "18.30", "18:3", "18:30:00", "18pm", "6:60pm", "18:30Z", "T18:30", "-18:30", "１８:３０",
			"2026-11-23", "2026-11-23 ", "2026-11-23 soon", "2026-11-23 30m", "2026-11-23 +10m", "2026-02-30 18:30", "2026-11-23 24:00", "26-11-23 18:30", "min", "1min2",
			"2026-11-23T18:30", "2026-11-23T18:30:00", "2026-11-23T18:30:00+1300", "23/11/2026", "2026-02-30T12:00:00Z",
			"2026-11-23T24:00:00Z", "1795430400", "367d", "8785h", "9999-12-31T23:59:59Z", "99999999999w", "15251w", "9223372036854775808ns",
			"18:30; rm -rf /", "$(date)", "30m\x00", strings.Repeat("1h", 9000),
		}},
	} {
		for _, when := range c.when {
			got, err := Parse(when, now)
			if !errors.Is(err, c.is) || !got.IsZero() {
				t.Errorf("%q is %v, %v; want %v", when, got, err, c.is)
			}
			if err != nil && len(err.Error()) > len(when)*4+100 {
				t.Errorf("%q: says %v", when, err)
			}
		}
	}
}

// Clocks that are put forward don't show some times, and those that are put back show some twice: which is meant is
// never guessed.
func TestParseOfClocksThatChange(t *testing.T) {
	const february = "2026-02-01T00:00:00Z"
	for _, c := range []struct{ now, zone, when, says string }{
		{february, "America/New_York", "2026-03-08 02:00", "never show"},
		{february, "America/New_York", "2026-03-08 02:59", "never show"},
		{february, "America/New_York", "2026-03-08 2:30am", "never show"},
		{february, "America/Santiago", "2026-09-06 00:30", "never show"},
		{february, "Australia/Lord_Howe", "2026-10-04 02:15", "never show"},
		{february, "America/New_York", "2026-11-01 01:00", "2026-11-01T01:00:00-04:00 or 2026-11-01T01:00:00-05:00"},
		{february, "America/New_York", "2026-11-01 01:59", "2026-11-01T01:59:00-04:00 or 2026-11-01T01:59:00-05:00"},
		{february, "Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-05T01:45:00+11:00 or 2026-04-05T01:45:00+10:30"},
		{february, "Pacific/Auckland", "2026-04-05 02:30", "2026-04-05T02:30:00+13:00 or 2026-04-05T02:30:00+12:00"},
		// times of day: of today, and of tomorrow
		{"2026-03-08T06:00:00Z", "America/New_York", "02:30", `never show "2026-03-08 02:30"`},
		{"2026-03-08T06:59:00Z", "America/New_York", "2:30am", `never show "2026-03-08 2:30am"`},
		{"2026-03-07T17:00:00Z", "America/New_York", "02:30", `never show "2026-03-08 02:30"`},
		{"2026-09-06T03:00:00Z", "America/Santiago", "00:30", `never show "2026-09-06 00:30"`},
		{"2026-10-31T16:00:00Z", "America/New_York", "01:30", "2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00"},
		{"2026-11-01T05:00:00Z", "America/New_York", "01:30", "2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00"},
		{"2026-11-01T05:45:00Z", "America/New_York", "01:30", "2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00"},
		{"2026-11-01T06:15:00Z", "America/New_York", "01:30", "2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00"},
		{"2026-04-04T14:50:00Z", "Australia/Lord_Howe", "01:45", "2026-04-05T01:45:00+11:00 or 2026-04-05T01:45:00+10:30"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(c.when, now.In(zone(t, c.zone)))
		if !errors.Is(err, ErrRead) || !strings.Contains(err.Error(), c.says) || !got.IsZero() {
			t.Errorf("%s in %s is %v, %v; want %q", c.when, c.zone, got, err, c.says)
		}
	}
}

// A time of day that has passed means another day, and that is said.
func TestLaterDay(t *testing.T) {
	for _, c := range []struct {
		when string
		want bool
	}{
		{"08:00", true}, {"8am", true}, {"09:06", true}, {"09:07", false}, {"6:30pm", false}, {"1d", false}, {"23h", false}, {"2026-11-30 08:00", false},
		{"2026-11-30T08:00:00Z", false}, {"soon", false},
	} {
		now := time.Date(2026, 11, 29, 9, 6, 0, 0, zone(t, "Pacific/Auckland"))
		at, err := Parse(c.when, now)
		if err != nil && c.when != "soon" {
			t.Errorf("%s: %v", c.when, err)
		}
		if got := IsLaterDay(c.when, at, now); got != c.want && err == nil {
			t.Errorf("%s at 09:06 is another day: %v, want %v", c.when, got, c.want)
		}
	}
}

// Whatever is typed, and whenever, what is understood lies ahead, and says the same when it is given as RFC 3339.
func FuzzWhen(f *testing.F) {
	names := []string{"UTC", "Pacific/Auckland", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata", "Africa/Casablanca"}
	var zones []*time.Location
	for _, name := range names {
		zones = append(zones, zone(f, name))
	}
	for _, s := range []string{"30m", "1d", "1ms", "18:30", "02:30", "1:30", "2026-11-22T12:00:00.5Z", "-1h", "", "2026-11-01 01:30", "2026-03-08 02:30", "6:30pm", "30min", "9999999h", "15250w1d23h47m16s854ms775us808ns"} {
		f.Add(s, int64(1_795_348_800), int64(250), uint8(1))
	}
	f.Fuzz(func(t *testing.T, s string, seconds, nanoseconds int64, where uint8) {
		// Between 2000 and 2100: time zones are about today's clocks.
		now := time.Unix(946_684_800+int64(uint64(seconds)%3_155_760_000), int64(uint64(nanoseconds)%1e9)).In(zones[int(where)%len(zones)])
		got, err := Parse(s, now)
		if err != nil {
			if !errors.Is(err, ErrRead) && !errors.Is(err, ErrPast) {
				t.Fatalf("%q at %v: %v is neither ErrRead nor ErrPast", s, now, err)
			}
			return
		}
		if !got.After(now) || got.Sub(now) > MaxAhead || got.Nanosecond() != 0 || got.Location() != time.UTC {
			t.Fatalf("%q at %v is %v", s, now, got)
		}
		if again, err := Parse(got.Format(time.RFC3339), now); err != nil || !again.Equal(got) {
			t.Fatalf("%q at %v is %v, which is read as %v, %v", s, now, got, again, err)
		}
		if clock, err := time.Parse("15:04", strings.TrimSpace(s)); err == nil {
			at := got.In(now.Location())
			if at.Hour() != clock.Hour() || at.Minute() != clock.Minute() || at.Sub(now) > 49*time.Hour {
				t.Fatalf("%q at %v is %v", s, now, at)
			}
		}
	})
}

func TestWaitFlag(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "30s": 30 * time.Second, "5m": 5 * time.Minute, "1d": 24 * time.Hour, "24h": 24 * time.Hour, "1.5s": 1500 * time.Millisecond,
	} {
		got := time.Hour
		if err := (Wait{&got}).Set(s); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", " ", "30", "-1s", "-0.5s", "25h", "1d1s", "1w", "18:30", "forever", "99999999w", "1s 2s"} {
		got := time.Hour
		if err := (Wait{&got}).Set(s); !errors.Is(err, ErrRead) || got != time.Hour {
			t.Errorf("%q is %v, %v; want ErrRead, and the value left alone", s, got, err)
		}
	}
	d := 90 * time.Second
	if got := (Wait{&d}).String(); got != "1m30s" {
		t.Errorf("shown as %q", got)
	}
	if got := (Wait{}).String(); got != "" { // pflag asks the zero value for its default
		t.Errorf("nothing is shown as %q", got)
	}
}
