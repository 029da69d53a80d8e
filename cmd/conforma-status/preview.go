package main

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

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
)

const (
	// previewAddress is a port that few others use; the same one each time, so that the browser's tab can stay.
	previewAddress = "127.0.0.1:4870"
	// previewLook is how often the content is looked at for a change.
	previewLook = 250 * time.Millisecond
)

func (a *app) previewCommand() *cobra.Command {
	listen := previewAddress
	cmd := &cobra.Command{
		Use: "preview", Short: helpPreview, Long: helpPreviewLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.preview(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", listen, helpPreviewListen)
	return cmd
}

// preview serves the maintenance site until it is told to stop, and builds it anew whenever its content changes.
func (a *app) preview(ctx context.Context, listen string) error {
	c, err := a.load(config.Pages)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return failed(fmt.Errorf("preview: %w", err), hintPreviewListen)
	}
	p := newPreview(c, "http://"+l.Addr().String(), time.Now)
	build := func() {
		if err := p.build(); err != nil {
			a.ui.fail(err)
		}
		_, remarks := p.said()
		for _, r := range remarks {
			a.ui.warn(r.String())
		}
	}
	server := &http.Server{
		Handler: p.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends the streams of events with the command
	}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	was := fingerprint(c.Content)
	build()
	a.ui.previewing(p.base, c.Content)
	go func() {
		for tick := time.NewTicker(previewLook); ctx.Err() == nil; <-tick.C {
			if is := fingerprint(c.Content); is != was {
				was = is
				build()
				wrong, _ := p.said()
				a.ui.rebuilt(wrong == "")
			}
		}
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return failed(fmt.Errorf("preview: %w", err))
	}
	return nil
}

// fingerprint is another whenever something below dir has changed. There is nothing to watch in the built-in content, "".
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
