package gate

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

const testWindow = "7-0123abcd"

func testCookie(t testing.TB, secret, site, window string, expires time.Time) string {
	t.Helper()
	value, err := mintCookie([]byte(secret), site, window, expires)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestCheckCookie(t *testing.T) {
	soon := testNow.Add(10 * time.Minute)
	good := testCookie(t, testSecret, "demo", testWindow, soon)
	when, mac, _ := strings.Cut(good, ".")
	for _, tt := range []struct {
		name, value, window, secret, want string
	}{
		{"as it was given", good, testWindow, testSecret, ""},
		{"of another site", testCookie(t, testSecret, "north", testWindow, soon), testWindow, testSecret, reasonCookieMAC},
		{"of the window before", testCookie(t, testSecret, "demo", "6-0123abcd", soon), testWindow, testSecret, reasonCookieMAC},
		{"of the same rules in another window", good, "8-0123abcd", testSecret, reasonCookieMAC},
		{"under another secret", testCookie(t, otherSecret, "demo", testWindow, soon), testWindow, testSecret, reasonCookieMAC},
		{"of a host whose secret was replaced", good, testWindow, otherSecret, reasonCookieMAC},
		{"no secret", good, testWindow, "", reasonNoSecret},
		{"expired this second", testCookie(t, testSecret, "demo", testWindow, testNow), testWindow, testSecret, reasonCookieOld},
		{"for years", testCookie(t, testSecret, "demo", testWindow, testNow.AddDate(3, 0, 0)), testWindow, testSecret, reasonCookieFuture},
		{"drawn out", fmt.Sprint(soon.Unix()+600) + "." + mac, testWindow, testSecret, reasonCookieMAC},
		{"without a window", good, "", testSecret, reasonCookieWindow},
		{"a window that is none", good, "7", testSecret, reasonCookieWindow},
		{"a window with a line end", good, testWindow + "\n", testSecret, reasonCookieWindow},
		{"empty", "", testWindow, testSecret, reasonCookieForm},
		{"without its signature", when, testWindow, testSecret, reasonCookieForm},
		{"with an empty signature", when + ".", testWindow, testSecret, reasonCookieForm},
		{"with half a signature", good[:len(good)-20], testWindow, testSecret, reasonCookieForm},
		{"padded", good + "=", testWindow, testSecret, reasonCookieForm},
		{"in quotes", `"` + good + `"`, testWindow, testSecret, reasonCookieForm},
		{"with a plus before it", "+" + good, testWindow, testSecret, reasonCookieForm},
		{"with a zero before it", "0" + good, testWindow, testSecret, reasonCookieForm},
		{"before 1970", "-" + good, testWindow, testSecret, reasonCookieForm},
		{"beyond any date", "9223372036854775808." + mac, testWindow, testSecret, reasonCookieForm},
		{"twice", good + "." + mac, testWindow, testSecret, reasonCookieForm},
		{"a token", mint(goodHeader, adminClaims(), testSecret), testWindow, testSecret, reasonCookieForm},
		{"signed with the secret itself", when + "." + signature(sha256.New, admissionPurpose+"\ndemo\n"+testWindow+"\n"+when, testSecret), testWindow, testSecret, reasonCookieMAC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ends, err := checkCookie(tt.value, []byte(tt.secret), "demo", tt.window, testNow)
			if got := reasonOf(t, err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.want == "" && !ends.Equal(soon) {
				t.Errorf("it ends at %v, want %v", ends, soon)
			}
		})
	}

	// No bit of the signature may be another one.
	for i := range 32 * 8 {
		data, err := base64.RawURLEncoding.DecodeString(mac)
		if err != nil {
			t.Fatal(err)
		}
		data[i/8] ^= 1 << (i % 8)
		if _, err := checkCookie(when+"."+base64.RawURLEncoding.EncodeToString(data), []byte(testSecret), "demo", testWindow, testNow); err == nil {
			t.Errorf("admitted with bit %d of its signature turned", i)
		}
	}

	// It is no token, whatever secret it is checked with.
	if testPolicy().verify(good, []byte(testSecret), testNow) == nil {
		t.Error("an admission cookie is taken for a token")
	}
}

// asking is what nginx asks for a request of a browser's.
func asking(authorization, cookie, request string) *http.Request {
	r := httptest.NewRequest("GET", "/check/demo", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	r.Header.Set(windowHeader, testWindow)
	r.Header.Set(requestHeader, request)
	return r
}

const (
	sameOriginGet = "GET|https||||same-origin|demo.example.org:50000|"
	oldBrowserGet = "GET|http|||||10.0.0.5:50000|http://10.0.0.5:50000/login"
)

// TestOffer: who gets a cookie, who is let through without one, and who is not let through.
func TestOffer(t *testing.T) {
	bearer := "Bearer " + mint(goodHeader, adminClaims(), testSecret)
	user := "Bearer " + mint(goodHeader, adminClaims(`"x":1`), otherSecret)
	cookie := func(left time.Duration) string {
		return "conforma-status-demo=" + testCookie(t, testSecret, "demo", testWindow, testNow.Add(left))
	}
	for _, tt := range []struct {
		name, authorization, cookie, request string
		want                                 int
		offered                              bool
	}{
		{"a script of the site", bearer, "", sameOriginGet, 401, true},
		{"a script of the site over HTTP/3, of which nginx doesn't tell the host", bearer, "", "GET|https||||same-origin||https://demo/login", 401, true},
		{"HEAD", bearer, "", strings.Replace(sameOriginGet, "GET", "HEAD", 1), 401, true},
		{"over plain HTTP, where browsers say less", bearer, "", oldBrowserGet, 401, true},
		{"with cookies of others", bearer, "a=1; conforma-status-north=x", sameOriginGet, 401, true},
		{"with a cookie that expired", bearer, cookie(-time.Second), sameOriginGet, 401, true},
		{"with a cookie that will expire soon", bearer, cookie(time.Minute), sameOriginGet, 401, true},
		{"a POST", bearer, "", "POST|https|120|||same-origin|demo|", 401, true},
		{"a POST with an empty body", bearer, "", "POST|https|0|||same-origin|demo|", 401, true},
		{"a POST with a cookie of another window", bearer, "conforma-status-demo=" + testCookie(t, testSecret, "demo", "6-0123abcd", testNow.Add(20*time.Minute)), "POST|https|120|||same-origin|demo|", 401, true},
		{"a POST with a cookie that will expire soon", bearer, cookie(time.Minute), "POST|https|120|||same-origin|demo|", 401, true},
		{"a POST with a fresh cookie", bearer, cookie(29 * time.Minute), "POST|https|120|||same-origin|demo|", 204, false},
		{"PUT", bearer, "", "PUT|https|120|||same-origin|demo|", 401, true},
		{"PATCH", bearer, "", "PATCH|https|120|||same-origin|demo|", 401, true},
		{"DELETE", bearer, "", "DELETE|https|2|||same-origin|demo|", 401, true},
		{"a POST over plain HTTP", bearer, "", strings.Replace(oldBrowserGet, "GET|http|", "POST|http|120", 1), 401, true},
		{"the longest POST", bearer, "", fmt.Sprintf("POST|https|%d|||same-origin|demo|", maxReplay), 401, true},
		{"a longer POST", bearer, "", fmt.Sprintf("POST|https|%d|||same-origin|demo|", maxReplay+1), 204, false},
		{"a POST longer than any number", bearer, "", "POST|https|99999999999999999999|||same-origin|demo|", 204, false},
		{"a POST that doesn't tell its length", bearer, "", "POST|https||||same-origin|demo|", 204, false},
		{"a chunked POST", bearer, "", "POST|https|||chunked|same-origin|demo|", 204, false},
		{"a POST of an old browser over TLS", bearer, "", "POST|https|120||||demo|https://demo/login", 204, false},
		{"a POST of another origin", bearer, "", "POST|https|120|||cross-site|demo|https://demo/", 204, false},
		{"a POST of another port", bearer, "", "POST|https|120|||same-site|demo|https://demo/", 204, false},
		{"a POST of a program", bearer, "", "POST|https|120||||demo|", 204, false},
		{"another method", bearer, "", "PROPFIND|https|120|||same-origin|demo|", 204, false},
		{"a POST with another's token", user, "", "POST|https|120|||same-origin|demo|", 401, false},
		{"with a fresh cookie", bearer, cookie(29 * time.Minute), sameOriginGet, 204, false},
		{"a WebSocket", bearer, "", "GET|https||websocket||same-origin|demo|", 204, false},
		{"a program", bearer, "", "GET|https|||||demo|", 204, false},
		{"a script of another origin", bearer, "", "GET|https||||cross-site|demo|", 204, false},
		{"a script of another port", bearer, "", "GET|https||||same-site|demo|https://demo/", 204, false},
		{"an old browser from elsewhere", bearer, "", "GET|http|||||demo:1|http://demo:10/", 204, false},
		{"an old browser that doesn't tell the host", bearer, "", "GET|http||||||http:///", 204, false},
		{"nothing said of the request", bearer, "", "", 204, false},
		{"another's token", user, "", sameOriginGet, 401, false},
		{"another's token beside a good cookie", user, cookie(20 * time.Minute), sameOriginGet, 401, false},
		{"the cookie alone", "", cookie(20 * time.Minute), sameOriginGet, 204, false},
		{"the cookie alone, with a WebSocket", "", cookie(time.Minute), "GET|https||websocket|||demo|", 204, false},
		{"the cookie among others", "", "a=1; " + cookie(time.Minute) + "; b=2", sameOriginGet, 204, false},
		{"the cookie twice", "", cookie(time.Minute) + "; " + cookie(2*time.Minute), sameOriginGet, 401, false},
		{"the cookie under another case", "", strings.ToUpper(cookie(time.Minute)[:8]) + cookie(time.Minute)[8:], sameOriginGet, 401, false},
		{"an old cookie alone", "", cookie(-time.Second), sameOriginGet, 401, false},
		{"nothing", "", "", sameOriginGet, 401, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, log := newLog()
			w := httptest.NewRecorder()
			NewHandler(testSites(), clock, log).ServeHTTP(w, asking(tt.authorization, tt.cookie, tt.request))
			set := w.Header().Get(offerHeader)
			if w.Code != tt.want || (set != "") != tt.offered {
				t.Errorf("got %d, offered %q; want %d, %v", w.Code, set, tt.want, tt.offered)
			}
			if said := text.take(); len(tt.cookie) > 60 && strings.Contains(said, tt.cookie[len(tt.cookie)-43:]) {
				t.Errorf("the log has the cookie: %s", said)
			}
			if !tt.offered {
				return
			}
			if tls := strings.Contains(tt.request, "|https|"); strings.Contains(set, "; Secure") != tls {
				t.Errorf("got %q", set)
			}
			pair, attributes, _ := strings.Cut(set, "; ")
			if want := "Path=/; Max-Age=1800; HttpOnly; "; !strings.HasPrefix(attributes, want) || !strings.HasSuffix(attributes, "SameSite=Lax") || strings.Contains(attributes, "Domain") {
				t.Errorf("got %q", set)
			}
			w = httptest.NewRecorder()
			if NewHandler(testSites(), clock, log).ServeHTTP(w, asking("", pair, sameOriginGet)); w.Code != 204 {
				t.Errorf("with the cookie that it was given: %d", w.Code)
			}
		})
	}
}

// TestOfferedOnce: a browser that keeps no cookies is let through by its token, never sent in a circle.
func TestOfferedOnce(t *testing.T) {
	now := testNow
	_, log := newLog()
	h := NewHandler(testSites(), func() time.Time { return now }, log)
	const get, post = sameOriginGet, "POST|https|120|||same-origin|demo|"
	for _, step := range []struct {
		after                  time.Duration
		request, window, token string
		want                   int
	}{
		{0, get, testWindow, "", 401}, {0, get, testWindow, "", 204}, {9 * time.Second, get, testWindow, "", 204}, {2 * time.Second, get, testWindow, "", 401}, {0, get, testWindow, "", 204},
		{0, get, testWindow, `"x":1`, 401}, {0, get, testWindow, `"x":1`, 204}, {0, get, testWindow, "", 204},
		{59 * time.Second, post, testWindow, "", 204}, {2 * time.Second, post, testWindow, "", 401}, {59 * time.Second, post, testWindow, "", 204}, {0, get, testWindow, "", 401},
		{30 * time.Second, post, testWindow, "", 204}, {0, post, "8-0123abcd", "", 401}, {0, post, "8-0123abcd", "", 204},
	} {
		now = now.Add(step.after)
		claims := adminClaims()
		if step.token != "" {
			claims = adminClaims(step.token)
		}
		w := httptest.NewRecorder()
		r := asking("Bearer "+mint(goodHeader, claims, testSecret), "", step.request)
		r.Header.Set(windowHeader, step.window)
		h.ServeHTTP(w, r)
		if w.Code != step.want {
			t.Errorf("%v %+v: got %d", now, step, w.Code)
		}
	}
}

// TestCookieEndsWithItsToken: admission never outlasts what it was given for.
func TestCookieEndsWithItsToken(t *testing.T) {
	_, log := newLog()
	for name, tt := range map[string]struct {
		claim, want string
	}{
		"exp":     {fmt.Sprintf(`"exp":%d`, testNow.Add(5*time.Minute).Unix()), "Max-Age=300"},
		"max_age": {fmt.Sprintf(`"nbf":%d`, testNow.Unix()), "Max-Age=1800"},
	} {
		w := httptest.NewRecorder()
		NewHandler(testSites(), clock, log).ServeHTTP(w, asking("Bearer "+mint(goodHeader, adminClaims(tt.claim), testSecret), "", sameOriginGet))
		if set := w.Header().Get(offerHeader); !strings.Contains(set, tt.want+";") {
			t.Errorf("%s: got %q, want %s", name, set, tt.want)
		}
	}
	later := func() time.Time { return testNow.Add(6*time.Hour + 50*time.Minute) } // the token is an hour old at testNow, and does for eight
	w := httptest.NewRecorder()
	NewHandler(testSites(), later, log).ServeHTTP(w, asking("Bearer "+mint(goodHeader, adminClaims(), testSecret), "", sameOriginGet))
	if set := w.Header().Get(offerHeader); !strings.Contains(set, "Max-Age=600;") {
		t.Errorf("max_age: got %q", set)
	}
}

// FuzzCookie: what the gate didn't mint, in the one spelling that it mints, never admits, and no reason quotes it.
func FuzzCookie(f *testing.F) {
	good := testCookie(f, testSecret, "demo", testWindow, testNow.Add(10*time.Minute))
	for _, value := range []string{good, good + " ", "x" + good, good[:20], "", ".", "1.", good + "; conforma-status-demo=" + good} {
		f.Add(value, testWindow)
	}
	f.Fuzz(func(t *testing.T, value, window string) {
		ends, err := checkCookie(value, []byte(testSecret), "demo", window, testNow)
		if reason := reasonOf(t, err); reason == "" {
			if again := testCookie(t, testSecret, "demo", window, ends); again != value || !ends.After(testNow) {
				t.Errorf("admitted: %q in %q until %v", value, window, ends)
			}
		} else if len(value) > 16 && strings.Contains(reason, value) {
			t.Errorf("the reason quotes the cookie: %q", reason)
		}
		header := "a=b; " + CookieName("demo") + "=" + value
		if got, count := findCookie([]string{header}, CookieName("demo")); count == 1 && got != strings.TrimRight(value, " \t") && !strings.Contains(value, ";") {
			t.Errorf("found %q in %q", got, header)
		}
	})
}

// TestOffersInOneRow: as many as a row has room for are each offered a cookie once in a while, in whatever order they
// come. One too many takes the place of whoever was offered theirs first.
func TestOffersInOneRow(t *testing.T) {
	var o offers
	room := len(o.rows[0])
	var meet []string // in one row
	for i := 0; len(meet) <= room; i++ {
		if name := strconv.Itoa(i); sha256.Sum256([]byte(name))[0] == 0 {
			meet = append(meet, name)
		}
	}
	now := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	for round := range 3 {
		for _, name := range meet[:room] {
			now = now.Add(time.Millisecond)
			if offered := o.make(name, offerAgain, now); offered != (round == 0) {
				t.Errorf("round %d: %s is offered one: %v", round, name, offered)
			}
		}
	}
	if !o.make(meet[room], offerAgain, now) || !o.make(meet[0], offerAgain, now) || o.make(meet[room-1], offerAgain, now) {
		t.Error("one too many isn't offered any, or takes the place of another than the first")
	}
	if now = now.Add(offerAgain); !o.make(meet[0], offerAgain, now) {
		t.Error("nobody is offered one again")
	}
}
