package gate

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	testEpoch  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	otherEpoch = "BBCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func testPass(t testing.TB, secret, site, window, epoch string, expires time.Time) string {
	t.Helper()
	link, err := Pass{"0123abcd", expires}.Link([]byte(secret), site, window, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func TestCheckPass(t *testing.T) {
	soon := testNow.Add(time.Hour)
	good := testPass(t, testSecret, "demo", testWindow, testEpoch, soon)
	mac := good[strings.LastIndex(good, ".")+1:]
	made := func(p Pass) string {
		link, err := p.Link([]byte(testSecret), "demo", testWindow, testEpoch)
		if err != nil {
			t.Fatal(err)
		}
		return link
	}
	for _, tt := range []struct {
		name, value, window, epoch, secret, want string
	}{
		{"as it was made", good, testWindow, testEpoch, testSecret, ""},
		{"of another site", testPass(t, testSecret, "north", testWindow, testEpoch, soon), testWindow, testEpoch, testSecret, reasonPassMAC},
		{"of another window", good, "8-0123abcd", testEpoch, testSecret, reasonPassMAC},
		{"of no window", good, "", testEpoch, testSecret, reasonCookieWindow},
		{"revoked", good, testWindow, otherEpoch, testSecret, reasonPassMAC},
		{"with no epoch", good, testWindow, "", testSecret, reasonPassNone},
		{"with no epoch, made for none", testPass(t, testSecret, "demo", testWindow, "", soon), testWindow, "", testSecret, reasonPassNone},
		{"under another secret", good, testWindow, testEpoch, otherSecret, reasonPassMAC},
		{"no secret", good, testWindow, testEpoch, "", reasonNoSecret},
		{"expired this second", made(Pass{"0123abcd", testNow}), testWindow, testEpoch, testSecret, reasonPassOld},
		{"for a week", made(Pass{"0123abcd", testNow.AddDate(0, 0, 7)}), testWindow, testEpoch, testSecret, reasonPassFuture},
		{"drawn out", fmt.Sprintf("0123abcd.%d.%s", soon.Unix()+60, mac), testWindow, testEpoch, testSecret, reasonPassMAC},
		{"under another name", "1123abcd" + good[8:], testWindow, testEpoch, testSecret, reasonPassMAC},
		{"under a name in capitals", strings.ToUpper(good[:8]) + good[8:], testWindow, testEpoch, testSecret, reasonPassForm},
		{"with a zero before the time", strings.Replace(good, ".", ".0", 1), testWindow, testEpoch, testSecret, reasonPassMAC},
		{"with a plus before the time", strings.Replace(good, ".", ".+", 1), testWindow, testEpoch, testSecret, reasonPassMAC},
		{"before 1970", strings.Replace(good, ".", ".-", 1), testWindow, testEpoch, testSecret, reasonPassForm},
		{"empty", "", testWindow, testEpoch, testSecret, reasonPassForm},
		{"dots", "..", testWindow, testEpoch, testSecret, reasonPassForm},
		{"without its signature", good[:len(good)-len(mac)], testWindow, testEpoch, testSecret, reasonPassMAC},
		{"padded", good + "=", testWindow, testEpoch, testSecret, reasonPassMAC},
		{"with a line end", good + "\n", testWindow, testEpoch, testSecret, reasonPassMAC},
		{"with its #", "#" + good, testWindow, testEpoch, testSecret, reasonPassForm},
		{"twice", good + "." + good, testWindow, testEpoch, testSecret, reasonPassMAC},
		{"the cookie that it gives", passCookie(t, soon), testWindow, testEpoch, testSecret, reasonPassMAC},
		{"an admission cookie", testCookie(t, testSecret, "demo", testWindow, soon), testWindow, testEpoch, testSecret, reasonPassForm},
		{"a token", mint(goodHeader, adminClaims(), testSecret), testWindow, testEpoch, testSecret, reasonPassForm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := checkPass(passTerms{[]byte(tt.secret), "demo", tt.window, tt.epoch}, passPurpose, tt.value, testNow)
			if got := reasonOf(t, err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.want == "" && (!p.Expires.Equal(soon) || p.ID != "0123abcd") {
				t.Errorf("got %+v", p)
			}
		})
	}
	for i := range 32 * 8 {
		data, err := base64.RawURLEncoding.DecodeString(mac)
		if err != nil {
			t.Fatal(err)
		}
		data[i/8] ^= 1 << (i % 8)
		turned := good[:len(good)-len(mac)] + base64.RawURLEncoding.EncodeToString(data)
		if _, err := checkPass(passTerms{[]byte(testSecret), "demo", testWindow, testEpoch}, passPurpose, turned, testNow); err == nil {
			t.Errorf("good with bit %d of its signature turned", i)
		}
	}
	if testPolicy().verify(good, []byte(testSecret), testNow) == nil {
		t.Error("a pass is taken for a token")
	}
}

// passCookie is the value of the cookie that a pass gives until that moment.
func passCookie(t testing.TB, expires time.Time) string {
	t.Helper()
	value, err := Pass{"0123abcd", expires}.seal(passTerms{[]byte(testSecret), "demo", testWindow, testEpoch}, passCookiePurpose)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// passSites are testSites where demo has passes of that epoch, "" for none.
func passSites(epoch string) []SiteSource {
	sites := testSites()
	sites[0].Epoch = func() (string, error) {
		if epoch == "" {
			return "", ErrNoEpoch
		}
		return epoch, nil
	}
	return sites
}

func TestPassPage(t *testing.T) {
	_, log := newLog()
	h := NewHandler(passSites(testEpoch), clock, log)
	for _, method := range []string{"GET", "HEAD"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/pass/demo", nil))
		header := w.Header()
		if w.Code != 200 || header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" || header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", method, w.Code, header)
		}
		csp := header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy lacks %s: %s", method, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: the policy is %s", method, csp)
		}
	}
	if strings.Contains(passPage, "{S") || !strings.Contains(passPage, "<noscript><p>") || regexp.MustCompile(`(?i)(src|href|action)\s*=`).MatchString(passPage) {
		t.Errorf("the page is\n%s", passPage)
	}
	for target, want := range map[string]int{"/pass/": 404, "/pass/nobody": 404, "/pass/demo/": 404, "/pass/demo?x": 404, "/pass/../check/demo": 404} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != want || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "OPTIONS", "post"} {
		r := httptest.NewRequest("POST", "/pass/demo", strings.NewReader(testPass(t, testSecret, "demo", testWindow, testEpoch, testNow.Add(time.Hour))))
		r.Method = method
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 405 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

// TestEnter: who posts a pass gets a cookie, which admits whatever token comes with it, until it is revoked.
func TestEnter(t *testing.T) {
	good := testPass(t, testSecret, "demo", testWindow, testEpoch, testNow.Add(time.Hour))
	enter := func(sites []SiteSource, site, body, window, request string) (*httptest.ResponseRecorder, string) {
		text, log := newLog()
		r := httptest.NewRequest("POST", "/pass/"+site, strings.NewReader(body))
		r.Header.Set(windowHeader, window)
		r.Header.Set(requestHeader, request)
		w := httptest.NewRecorder()
		NewHandler(sites, clock, log).ServeHTTP(w, r)
		return w, text.take()
	}
	const post = "POST|https|70|||same-origin|demo.example.org|"
	w, said := enter(passSites(testEpoch), "demo", good, testWindow, post)
	set := w.Header().Get("Set-Cookie")
	pair, attributes, _ := strings.Cut(set, "; ")
	if w.Code != 204 || attributes != "Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax" {
		t.Fatalf("got %d %q", w.Code, set)
	}
	if note := w.Header().Values("Set-Cookie"); len(note) != 2 || note[1] != "conforma-pass-demo=1; Path=/; Max-Age=3600; Secure; SameSite=Lax" {
		t.Errorf("what a script may read: %q", note)
	}
	if !strings.Contains(said, `msg="admitted by a pass" site=demo pass=0123abcd until=2026-11-22T22:15:00Z`) || strings.Contains(said, good[20:]) || strings.Contains(said, pair[len(pair)-43:]) {
		t.Errorf("logged: %s", said)
	}
	if w, _ := enter(passSites(testEpoch), "demo", good, testWindow, strings.Replace(post, "https", "http", 1)); strings.Contains(w.Header().Get("Set-Cookie"), "Secure") {
		t.Errorf("over plain HTTP: %v", w.Header())
	}
	if w, _ := enter(passSites(testEpoch), "demo", good, testWindow, "POST|http|70||||demo|"); w.Code != 204 {
		t.Errorf("a browser that says less: %d", w.Code)
	}
	rotated := passSites(testEpoch)
	rotated[0].Secrets = fixed(otherSecret, testSecret)
	if w, _ := enter(rotated, "demo", good, testWindow, post); w.Code != 204 {
		t.Errorf("made before the secret was replaced: %d", w.Code)
	}
	none, broken := passSites(""), passSites(testEpoch)
	broken[0].Secrets = func() ([]Secret, error) { return nil, errors.New("the disk is gone") }
	empty := passSites(testEpoch)
	empty[0].Secrets = fixed()
	for name, tt := range map[string]struct {
		sites                       []SiteSource
		site, body, window, request string
		reason                      string
	}{
		"revoked":                 {passSites(otherEpoch), "demo", good, testWindow, post, reasonPassMAC},
		"all revoked":             {none, "demo", good, testWindow, post, reasonPassNone},
		"a site without passes":   {testSites(), "demo", good, testWindow, post, reasonPassNone},
		"another site":            {passSites(testEpoch), "other", good, testWindow, post, reasonPassNone},
		"a secret that is gone":   {broken, "demo", good, testWindow, post, "the disk is gone"},
		"no secret":               {empty, "demo", good, testWindow, post, reasonNoSecret},
		"another window":          {passSites(testEpoch), "demo", good, "9-0123abcd", post, reasonPassMAC},
		"no window":               {passSites(testEpoch), "demo", good, "", post, reasonCookieWindow},
		"from another origin":     {passSites(testEpoch), "demo", good, testWindow, "POST|https|70|||cross-site|demo|", reasonPassForeign},
		"from another port":       {passSites(testEpoch), "demo", good, testWindow, "POST|https|70|||same-site|demo|", reasonPassForeign},
		"nothing said of it":      {passSites(testEpoch), "demo", good, testWindow, "", reasonPassForeign},
		"an empty body":           {passSites(testEpoch), "demo", "", testWindow, post, reasonPassForm},
		"a form":                  {passSites(testEpoch), "demo", "pass=" + good, testWindow, post, reasonPassForm},
		"a body without end":      {passSites(testEpoch), "demo", good + strings.Repeat("A", 1<<20), testWindow, post, reasonPassForm},
		"the cookie for the pass": {passSites(testEpoch), "demo", pair[strings.Index(pair, "=")+1:], testWindow, post, reasonPassMAC},
	} {
		w, said := enter(tt.sites, tt.site, tt.body, tt.window, tt.request)
		if w.Code != 403 || w.Header().Get("Set-Cookie") != "" || !strings.Contains(said, tt.reason) || strings.Contains(said, good[20:]) {
			t.Errorf("%s: %d %v, logged: %s", name, w.Code, w.Header(), said)
		}
	}

	user := "Bearer " + mint(goodHeader, strings.Replace(adminClaims(), `"isAdmin":true`, `"isAdmin":false`, 1), testSecret)
	for name, tt := range map[string]struct {
		sites                         []SiteSource
		authorization, cookie, window string
		want                          int
	}{
		"alone":                         {passSites(testEpoch), "", pair, testWindow, 204},
		"with an ordinary user's token": {passSites(testEpoch), user, pair, testWindow, 204},
		"with another scheme":           {passSites(testEpoch), "Basic eDp5", pair, testWindow, 204},
		"with an administrator's":       {passSites(testEpoch), "Bearer " + mint(goodHeader, adminClaims(), testSecret), pair, testWindow, 204},
		"after a rotation":              {rotated, "", pair, testWindow, 204},
		"once revoked":                  {passSites(otherEpoch), "", pair, testWindow, 401},
		"once revoked, with a token":    {passSites(otherEpoch), user, pair, testWindow, 401},
		"once all are revoked":          {none, "", pair, testWindow, 401},
		"in another window":             {passSites(testEpoch), "", pair, "9-0123abcd", 401},
		"without a secret":              {empty, "", pair, testWindow, 401},
		"twice":                         {passSites(testEpoch), "", pair + "; " + pair, testWindow, 401},
		"twice, with a token":           {passSites(testEpoch), user, pair + "; " + pair, testWindow, 401},
		"the pass itself for a cookie":  {passSites(testEpoch), "", "conforma-status-demo=" + good, testWindow, 401},
		"as another site's":             {passSites(testEpoch), "", strings.Replace(pair, "demo", "other", 1), testWindow, 401},
		"expired":                       {passSites(testEpoch), "", "conforma-status-demo=" + passCookie(t, testNow), testWindow, 401},
		"for longer than one can":       {passSites(testEpoch), "", "conforma-status-demo=" + passCookie(t, testNow.AddDate(0, 0, 2)), testWindow, 401},
	} {
		text, log := newLog()
		r := asking(tt.authorization, tt.cookie, sameOriginGet)
		r.Header.Set(windowHeader, tt.window)
		w := httptest.NewRecorder()
		NewHandler(tt.sites, clock, log).ServeHTTP(w, r)
		if w.Code != tt.want || w.Header().Get(offerHeader) != "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		if said := text.take(); strings.Contains(said, pair[len(pair)-43:]) {
			t.Errorf("%s: logged: %s", name, said)
		}
	}
}

func TestEpoch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo")
	if _, err := ReadEpoch(path); !errors.Is(err, ErrNoEpoch) {
		t.Errorf("no file: %v", err)
	}
	first, err := NewEpoch(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ReadEpoch(path); err != nil || got != first {
		t.Errorf("got %q, %v, want %q", got, err, first)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the gate is another user: %v, %v", info.Mode(), err)
	}
	if second, err := NewEpoch(path); err != nil || second == first {
		t.Errorf("the next is %q, %v", second, err)
	}
	for _, text := range []string{"", "\n", first[1:], first + "\n\n", " " + first, strings.ToLower(first)} {
		write(t, path, text, 0o644)
		if got, err := ReadEpoch(path); !errors.Is(err, ErrNoEpoch) || got != "" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := ReadEpoch(t.TempDir()); err == nil {
		t.Error("a directory is an epoch")
	}
}

// FuzzPass: what wasn't made here, in the one spelling that is, never admits, neither posted nor as a cookie.
func FuzzPass(f *testing.F) {
	good := testPass(f, testSecret, "demo", testWindow, testEpoch, testNow.Add(time.Hour))
	for _, value := range []string{good, good + " ", "#" + good, good[:20], "", "..", passCookie(f, testNow.Add(time.Hour)), strings.ToUpper(good)} {
		f.Add(value, testWindow, testEpoch)
	}
	f.Fuzz(func(t *testing.T, value, window, epoch string) {
		p, err := checkPass(passTerms{[]byte(testSecret), "demo", window, epoch}, passPurpose, value, testNow)
		if err == nil {
			if again := testPass(t, testSecret, "demo", window, epoch, p.Expires); p.ID == "0123abcd" && again != value || !p.Expires.After(testNow) {
				t.Errorf("good: %q in %q of %q", value, window, epoch)
			}
		}
		_, log := newLog()
		h := NewHandler(passSites(testEpoch), clock, log)
		r := &http.Request{Method: "GET", RequestURI: "/check/demo", Header: http.Header{
			"Cookie": {"conforma-status-demo=" + value}, windowHeader: {window}, requestHeader: {sameOriginGet}}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == 204 && value != passCookie(t, testNow.Add(time.Hour)) {
			t.Errorf("admitted by the cookie %q", value)
		}
	})
}
