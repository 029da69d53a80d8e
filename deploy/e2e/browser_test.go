package e2e

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// startBrowser starts a Chromium that reaches this machine only, and ends it with the test. Names under
// .test resolve to 127.0.0.1.
func startBrowser(t testing.TB) context.Context {
	t.Helper()
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium-headless-shell"),
		chromedp.NoSandbox, // the tests may run as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("accept-lang", "en-NZ,en"),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	)...)
	t.Cleanup(cancel) // waits for the process to end
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return browser
}

// tab is one tab, with cookies and a cache of its own, that keeps what it asked for and what went wrong.
type tab struct {
	t      testing.TB
	ctx    context.Context
	script string

	mu       sync.Mutex
	requests []string // URLs, those of data: apart
	thrown   []string // exceptions that no script caught
	reports  []string // what its pages said to the binding "report", where a test has added that
}

// openTab opens an empty tab whose reader lives in New Zealand, and runs script before those of each page.
func openTab(t testing.TB, browser context.Context, script string) *tab {
	t.Helper()
	return newTab(t, browser, script, chromedp.WithNewBrowserContext())
}

// newTab is openTab for a tab beside that of parent, with which it shares cookies and all else.
func newTab(t testing.TB, parent context.Context, script string, options ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, time.Minute) // bounds what hangs; nothing is measured by it
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, script: script}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatalf("open tab: %v", err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Pacific/Auckland"})
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	return b
}

func (b *tab) note(event any) {
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

// asked returns the different URLs that the tab asked for, sorted.
func (b *tab) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(b.requests)))
}

func (b *tab) exceptions() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.thrown)
}

func (b *tab) open(url string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(url)); err != nil {
		b.t.Fatalf("open %s: %v", url, err)
	}
}

// call runs a command of the DevTools protocol in b.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return r
}

// eval returns what the JavaScript expression comes to in b's page, a promise's result included.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}
