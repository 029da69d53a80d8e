// Package preview shows the maintenance site in a browser, with a bar above it to try every state, and builds it anew
// on each save.
package preview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

// lookEvery is how often the content is looked at for a change.
const lookEvery = 250 * time.Millisecond

// What the page shows.
const (
	shortMessage = "We are upgrading the application. Your drafts are safe."
	longMessage  = "We are moving the application to a new server, which takes longer than an ordinary upgrade because all files are copied. " +
		"What you have saved is safe and will be there when it opens again. If you were about to submit an application that is due today, " +
		"the deadline is extended by one day for everybody; there is no need to write to us about it.\n" +
		"Averyveryverylongwordthathasnospacesinitatallanddoesnotendbeforethelineisoverandthenitgoesonforawhile."
	hereIsTheSite = "Here is the site: /%s\n"
)

// Serve answers at l until ctx is done, and builds the site anew whenever its content changes; rebuilt is told what
// came of that.
func (p *Preview) Serve(ctx context.Context, l net.Listener, rebuilt func(remarks fault.List, err error)) error {
	server := &http.Server{
		Handler: p.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends the streams of events with the command
	}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	go p.watch(ctx, rebuilt)
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// watch builds the site anew whenever its content changes.
func (p *Preview) watch(ctx context.Context, rebuilt func(fault.List, error)) {
	for tick := time.NewTicker(lookEvery); ctx.Err() == nil; <-tick.C {
		if is := fingerprint(p.config.Content); is != p.built {
			p.built = is
			rebuilt(p.Build())
		}
	}
}

// fingerprint is another whenever something below dir has changed. In the built-in content, "", nothing ever has.
func fingerprint(dir string) string {
	if dir == "" {
		return ""
	}
	var out string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			out += path + err.Error()
			return nil
		}
		if info, err := os.Stat(path); err == nil && !d.IsDir() {
			out += fmt.Sprintf("%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return out
}
