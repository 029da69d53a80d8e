// Package chrome has Chromium open pages on loopback.
package chrome

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// Browser is the one Chromium of all tests of a package, each of which opens tabs of its own. It reaches this machine
// only; names under .test resolve to 127.0.0.1.
func Browser(t testing.TB) context.Context {
	t.Helper()
	browser, err := started()
	if err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return browser
}

var started = sync.OnceValues(func() (context.Context, error) {
	browser, end, err := start()
	rig.AtEnd(end) // which waits for the process
	return browser, err
})

func start(more ...chromedp.ExecAllocatorOption) (browser context.Context, end func(), err error) {
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium-headless-shell"),
		chromedp.NoSandbox, // the tests may run as root
		chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(rig.Patience),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("accept-lang", "en-NZ,en"),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	), more...)...)
	browser, _ = chromedp.NewContext(allocator)
	return browser, end, chromedp.Do(browser)
}

// Trusting is a Chromium of the test's own that takes the certificate for one of an authority that it knows. What comes
// with a certificate that is merely put up with it doesn't cache.
func Trusting(t *testing.T, c rig.Certificate) context.Context {
	t.Helper()
	browser, end, err := start(trust(t, c))
	t.Cleanup(end)
	if err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return browser
}

func trust(t *testing.T, c rig.Certificate) chromedp.ExecAllocatorOption {
	t.Helper()
	first, _ := pem.Decode([]byte(rig.ReadFile(t, c.Fullchain)))
	cert, err := x509.ParseCertificate(first.Bytes)
	rig.Check(t, err)
	key := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(key[:]))
}

// Kept is Trusting for one that knows what an earlier one has left in dir. NoNames has it find no name at all. Its end
// leaves everything to the next one.
func Kept(t *testing.T, c rig.Certificate, dir string, more ...chromedp.ExecAllocatorOption) (browser context.Context, end func()) {
	t.Helper()
	browser, kill, err := start(append(more, trust(t, c), chromedp.UserDataDir(dir))...)
	t.Cleanup(kill)
	if err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return browser, func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(browser, rig.Patience)
		defer cancel()
		rig.Check(t, chromedp.Cancel(ctx))
	}
}

// NoNames has a Chromium find no name.
var NoNames = chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")

// Tab is one tab, with cookies and a cache of its own, that keeps what it asked for and what went wrong.
type Tab struct {
	T      testing.TB
	Ctx    context.Context
	Script string

	mu       sync.Mutex
	requests []string // URLs, those of data: apart
	thrown   []string // exceptions that no script caught
	reports  []string // what its pages said to the binding "report", where a test has added that
}

// OpenTab opens an empty tab whose reader lives in New Zealand, and runs script before those of each page.
func OpenTab(t testing.TB, browser context.Context, script string) *Tab {
	t.Helper()
	return NewTab(t, browser, script, chromedp.WithNewBrowserContext())
}

// NewTab is openTab for a tab beside that of parent, with which it shares cookies and all else.
func NewTab(t testing.TB, parent context.Context, script string, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	b := &Tab{T: t, Ctx: ctx, Script: script}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatalf("open tab: %v", err)
	}
	Call(b, network.Enable, network.EnableParams{})
	Call(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Pacific/Auckland"})
	Call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	return b
}

func (b *Tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			b.requests = append(b.requests, e.Request.URL)
		}
	case *runtime.EventBindingCalled:
		b.reports = append(b.reports, e.Payload)
	case *runtime.EventExceptionThrown:
		b.thrown = append(b.thrown, e.ExceptionDetails.Text)
	}
}

// Asked returns the different URLs that the tab asked for, sorted.
func (b *Tab) Asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(b.requests)))
}

// Sent returns all URLs that the tab asked for, in their order.
func (b *Tab) Sent() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

// ForgetSent begins anew with what the tab asks for.
func (b *Tab) ForgetSent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = nil
}

// Heard returns what the tab's pages said to the binding "report".
func (b *Tab) Heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.reports)
}

// ForgetHeard begins anew with what is said to the binding "report".
func (b *Tab) ForgetHeard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports = nil
}

// Exceptions returns those that no script of the tab's pages caught.
func (b *Tab) Exceptions() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.thrown)
}

func (b *Tab) Open(url string) {
	b.T.Helper()
	if err := b.TryOpen(url); err != nil {
		b.T.Fatalf("open %s: %v", url, err)
	}
}

// TryOpen is Open for what may not be there: its error is the browser's.
func (b *Tab) TryOpen(url string) error {
	ctx, cancel := context.WithTimeout(b.Ctx, rig.Patience)
	defer cancel()
	return chromedp.Do(ctx, chromedp.Navigate(url))
}

// Call runs a command of the DevTools protocol in b.
func Call[P, R any](b *Tab, command cdp.Command[P, R], params P) R {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, rig.Patience)
	defer cancel()
	r, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.T.Fatalf("%s: %v", command.Method, err)
	}
	return r
}

// Eval returns what the JavaScript expression comes to in b's page, a promise's result included.
func Eval[T any](b *Tab, expression string) T {
	b.T.Helper()
	v, err := TryEval[T](b, expression)
	if err != nil {
		b.T.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}

// TryEval is Eval for a page that may just be left, which is an error.
func TryEval[T any](b *Tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.Ctx, rig.Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Passes waits until so many milliseconds have passed in the life of b's page, which is to stay: what was due in it
// before has begun.
func Passes(b *Tab, ms int) {
	b.T.Helper()
	Eval[bool](b, fmt.Sprintf(`new Promise((done) => setTimeout(done, %d, true))`, ms))
}

// Arrives waits until b shows the page at href, with its status. What is under way to another page answers no question.
func Arrives(b *Tab, href string) {
	b.T.Helper()
	var at string
	defer func() {
		if at != href {
			b.T.Logf("it is at %s", at)
		}
	}()
	rig.WaitFor(b.T, href+" to be shown", func() bool {
		var err error
		at, err = TryEval[string](b, `document.documentElement?.dataset.mode ? location.href : "under way"`)
		return err == nil && at == href
	})
}
