package rig

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/msupply-foundation/conforma-status/status"
)

// Agree checks that the store, nginx's own status.json, nginx's rules and the record say the same of a site, and
// returns what that is.
func Agree(t *testing.T, h *Host, site string) status.Document {
	t.Helper()
	d := ParseStatus(t, h.Published(t, site))
	v := SiteViewOf(t, h, site)
	switch {
	case v.code != 0 || len(v.Drift) != 0:
		t.Errorf("get exits %d and says %q", v.code, v.Drift)
	case v.Mode != d.Mode || v.OnDisk.Mode != d.Mode || v.Live.Mode != d.Mode || v.OnDisk.Revision != v.Live.Revision:
		t.Errorf("published is %s, get says %+v", d.Mode, v)
	case v.OnDisk.Closed != (d.Mode == status.Offline) || v.Live.Closed != v.OnDisk.Closed:
		t.Errorf("the site is %s, get says of the closed file %+v", d.Mode, v)
	case !reflect.DeepEqual(v.Published, &d):
		t.Errorf("published is %+v, get says %+v", d, v.Published)
	}
	if !v.Wanted.OnRecord {
		return d // nothing was set yet: nginx has only its rules to go by
	}
	if v.Wanted.Mode != d.Mode || v.Wanted.Seq != d.Seq {
		t.Errorf("published is %+v, on record is %+v", d, v.Wanted)
	}
	if got := Served(t, h, site); !reflect.DeepEqual(got, d) {
		t.Errorf("published is %+v, nginx says %+v", d, got)
	}
	return d
}

// siteView is what "get --json" says of one site.
type siteView struct {
	Site   string
	Mode   status.Mode
	Wanted struct {
		Mode     status.Mode
		OnRecord bool
		Seq      uint64
	}
	OnDisk, Live struct {
		Mode     status.Mode
		Revision string
		Closed   bool
	}
	Published *status.Document
	Drift     []string
	code      int
}

func SiteViewOf(t *testing.T, h *Host, site string) siteView {
	t.Helper()
	r := h.CLI(t, "get", "--site", site, "--json")
	var answer struct {
		Version int
		Sites   []siteView
	}
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || answer.Version != 1 || len(answer.Sites) != 1 {
		t.Fatalf("get --json exits %d (%v) and says %s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	answer.Sites[0].code = r.Code
	return answer.Sites[0]
}

// Served is the status document that nginx gives.
func Served(t *testing.T, h *Host, site string) status.Document {
	t.Helper()
	r := h.Client(t, site).Get(t, "/.conforma-status/status.json")
	if r.Status != 200 {
		t.Fatalf("nginx answers for status.json with %d", r.Status)
	}
	return ParseStatus(t, r.Body)
}

func ParseStatus(t *testing.T, document string) status.Document {
	t.Helper()
	d, err := status.Parse([]byte(document))
	if err != nil {
		t.Fatalf("%v in %q", err, document)
	}
	return d
}
