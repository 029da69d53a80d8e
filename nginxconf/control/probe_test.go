package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status"
)

// serve starts a web server on loopback and returns its address.
func serve(t *testing.T, tls bool, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // plain HTTP to TLS is part of the tests
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// serveHTTP2 is serve for a server that speaks HTTP/2 alone, without TLS.
func serveHTTP2(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// say answers each connection with the same words, whatever was asked.
func say(t *testing.T, words string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// Something has to be read first: a close with unread data would be a reset.
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, words)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// nobody returns an address that refuses connections: its port is taken by a socket that doesn't listen.
func nobody(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", addr.(*syscall.SockaddrInet4).Port)
}

func text(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func TestProbe(t *testing.T) {
	const answer = `{"site":"demo","mode":"admin","revision":"7-0badcafe","closed":true}` + "\n"
	good := text(200, answer)
	want := Answer{Site: "demo", Mode: status.Admin, Revision: "7-0badcafe", Closed: true}
	for name, c := range map[string]struct {
		addr string
		url  string
		want error  // nil for the answer
		says string // the end of the error
	}{
		"plain":                    {serve(t, false, good), "http://demo.example.org:8080", nil, ""},
		"TLS":                      {serve(t, true, good), "https://demo.example.org", nil, ""},
		"TLS ends elsewhere":       {serve(t, false, good), "https://demo.example.org", nil, ""},
		"TLS nobody speaks of":     {serve(t, true, good), "http://demo.example.org", nil, ""},
		"HTTP/2 alone":             {serveHTTP2(t, good), "http://demo.example.org", nil, ""},
		"HTTP/2 alone, https":      {serveHTTP2(t, good), "https://demo.example.org", nil, ""},
		"not found, HTTP/2 alone":  {serveHTTP2(t, http.NotFound), "http://demo.example.org", ErrNotOurs, "there: the answer is 404 Not Found"},
		"another site":             {serve(t, true, text(200, strings.Replace(answer, "demo", "live", 1))), "https://demo.example.org", ErrNotOurs, `there: the answer is that of site "live"`},
		"another site, no TLS":     {serve(t, false, text(200, strings.Replace(answer, "demo", "live", 1))), "https://demo.example.org", ErrNotOurs, `there: the answer is that of site "live"`},
		"not found":                {serve(t, false, http.NotFound), "http://demo.example.org", ErrNotOurs, "there: the answer is 404 Not Found"},
		"not found, TLS elsewhere": {serve(t, false, http.NotFound), "https://demo.example.org", ErrNotOurs, "there: the answer is 404 Not Found"},
		"not found, TLS":           {serve(t, true, http.NotFound), "https://demo.example.org", ErrNotOurs, "there: the answer is 404 Not Found"},
		"the right words, 503":     {serve(t, false, text(503, answer)), "http://demo.example.org", ErrNotOurs, "there: the answer is 503 Service Unavailable"},
		"a page":                   {serve(t, false, text(200, "<html>")), "http://demo.example.org", ErrNotOurs, "there: the answer is 200 OK"},
		"nothing":                  {serve(t, false, text(200, "")), "http://demo.example.org", ErrNotOurs, "there: the answer is 200 OK"},
		"other JSON":               {serve(t, false, text(200, `{"site":"demo"}`)), "http://demo.example.org", ErrNotOurs, "there: the answer is 200 OK"},
		"JSON without an end":      {serve(t, false, text(200, strings.Repeat(" ", 5000)+answer)), "http://demo.example.org", ErrNotOurs, "there: the answer is 200 OK"},
		"a redirect": {serve(t, false, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == nginxconf.ProbePath {
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
				return
			}
			good(w, r)
		}), "http://demo.example.org", ErrNotOurs, "there: the answer is 302 Found"},
		"nobody":              {nobody(t), "http://demo.example.org", ErrUnreachable, "connect: connection refused"},
		"nobody, TLS":         {nobody(t), "https://demo.example.org", ErrUnreachable, "connect: connection refused"},
		"another protocol":    {say(t, "SSH-2.0-OpenSSH_9.2\r\n"), "http://demo.example.org", errNoAnswer, ""},
		"another, TLS":        {say(t, "SSH-2.0-OpenSSH_9.2\r\n"), "https://demo.example.org", errNoAnswer, ""},
		"a line that is shut": {say(t, ""), "http://demo.example.org", errNoAnswer, ""},
		"cut off":             {say(t, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"), "http://demo.example.org", errNoAnswer, "unexpected EOF"},
		"no port":             {"127.0.0.1", "http://demo.example.org", errNoAnswer, "missing port in address"},
	} {
		got, err := Nginx{}.Probe(t.Context(), operator.Target{Site: "demo", Addr: c.addr, URL: c.url})
		switch {
		case c.want == nil && (err != nil || got != want):
			t.Errorf("%s: %+v, %v", name, got, err)
		case c.want != nil && (!errors.Is(err, c.want) || !strings.HasSuffix(err.Error(), c.says) || got != Answer{}):
			t.Errorf("%s: %+v, %v; want %v", name, got, err, c.want)
		case c.want != nil && !strings.HasPrefix(err.Error(), "ask nginx at "+c.addr+" which rules it follows for demo: "):
			t.Errorf("%s: %v says too little", name, err)
		}
		for _, other := range []error{ErrNotOurs, ErrUnreachable, errNoAnswer} {
			if other != c.want && errors.Is(err, other) {
				t.Errorf("%s: %v is %v too", name, err, other)
			}
		}
	}
}

// Somebody who listens and doesn't answer is not nobody: what visitors get is not known.
func TestProbeOfSomebodyWhoHangs(t *testing.T) {
	for _, tls := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		addr := serve(t, tls, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // a return would answer, and the asker may still be there to hear it
		})
		_, err := Nginx{}.Probe(ctx, operator.Target{Site: "demo", Addr: addr, URL: map[bool]string{true: "https", false: "http"}[tls] + "://demo.example.org"})
		if !errors.Is(err, errNoAnswer) || errors.Is(err, ErrUnreachable) || !errors.Is(err, context.Canceled) {
			t.Errorf("TLS %v: %v, want errNoAnswer", tls, err)
		}
	}
}

// The question is put as a visitor's browser would put it, at the address that it is given.
func TestWhatIsAsked(t *testing.T) {
	var got *http.Request
	record := func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("X-Conforma-Status", "admin")
		w.Header().Set("Location", "https://maintenance.example.org/")
		w.WriteHeader(http.StatusFound)
	}
	plain, encrypted := serve(t, false, record), serve(t, true, record)
	_, port, err := net.SplitHostPort(plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ addr, url, path, door, host, sni string }{
		{plain, "http://demo.example.org:8080", "/", "", "demo.example.org:8080", ""},
		{":" + port, "http://demo.example.org", "/health?deep=1", "word", "demo.example.org", ""},
		{"*:" + port, "http://[2001:db8::1]:8080", "/", "", "[2001:db8::1]:8080", ""},
		{"0.0.0.0:" + port, "http://demo.example.org/app/", "/", "", "demo.example.org", ""},
		{encrypted, "https://demo.example.org:50000", "/", "", "demo.example.org:50000", "demo.example.org"},
	} {
		seen, err := Nginx{}.FetchPage(t.Context(), operator.Target{Site: "demo", Addr: c.addr, URL: c.url}, c.path, c.door)
		if err != nil || seen.Status != 302 || seen.Maintenance != "admin" || seen.Header.Get("X-Conforma-Status") != "admin" {
			t.Errorf("%s: saw %+v, %v", c.url, seen, err)
			continue
		}
		if got.Method != "GET" || got.RequestURI != c.path || got.Host != c.host || got.Header.Get(nginxconf.DoorHeader) != c.door ||
			got.Header.Get("Accept") != "text/html" || got.Header.Get("Sec-Fetch-Mode") != "navigate" {
			t.Errorf("%s: asked %s %s of %s with %v", c.url, got.Method, got.RequestURI, got.Host, got.Header)
		}
		if got.TLS != nil && got.TLS.ServerName != c.sni || (got.TLS == nil) != (c.sni == "") {
			t.Errorf("%s: asked TLS for %+v, want %q", c.url, got.TLS, c.sni)
		}
	}

	if _, err := (Nginx{}).FetchPage(t.Context(), operator.Target{Site: "demo", Addr: nobody(t), URL: "http://demo.example.org"}, "/", ""); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody: %v, want ErrUnreachable", err)
	}
	if _, err := (Nginx{}).Probe(t.Context(), operator.Target{Site: "demo", Addr: plain, URL: "http://a b"}); err == nil {
		t.Error("a URL that is none is asked")
	}
}

func TestDialable(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80", "192.0.2.1:443": "192.0.2.1:443", "[2001:db8::1]:443": "[2001:db8::1]:443", "localhost:1": "localhost:1",
		":80": "127.0.0.1:80", "*:80": "127.0.0.1:80", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "[::1]:80",
		"80": "80", "": "",
	} {
		if got := dialable(addr); got != want {
			t.Errorf("%q is asked at %q, want %q", addr, got, want)
		}
	}
}
