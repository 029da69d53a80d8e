package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// uploadTimeout bounds the listing and the upload of one site's files.
const uploadTimeout = 5 * time.Minute

// verifyTimeout bounds looking at one site as the world sees it.
const verifyTimeout = 20 * time.Second

// worldClient asks as a visitor would, from outside.
func worldClient() *http.Client {
	return &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		DisableKeepAlives: true,
	}}
}

// publication is what publish did, or would do, for one site.
type publication struct {
	Site   string           `json:"site"`
	Files  []publishedFile  `json:"files"`
	Status *publishedStatus `json:"status"` // null in a dry run
	// Differs is what the world sees otherwise than it was sent; null in a dry run.
	Differs []site.Difference `json:"differs"`
}

type publishedFile struct {
	Key    string      `json:"key"`
	Action site.Action `json:"action"`
	Size   int         `json:"size"`
}

type publishedStatus struct {
	Key     string      `json:"key"`
	Mode    status.Mode `json:"mode"`
	Seq     uint64      `json:"seq"`
	Written bool        `json:"written"` // false when it was there already
}

func (a *app) publishCommand() *cobra.Command {
	var names []string
	var asJSON, dryRun, prune bool
	cmd := &cobra.Command{
		Use: "publish", Short: helpPublish, Long: helpPublishLong, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.ui.json = asJSON
			c, err := a.load(config.Tokens, config.Pages)
			if err != nil {
				return err
			}
			chosen, err := sites(c, names, len(names) == 0)
			if err != nil {
				return err
			}
			loaded, err := loadContent(c)
			if err != nil {
				return err
			}
			h, err := a.host(c)
			if err != nil {
				return err
			}
			done := []publication{}
			for _, s := range chosen {
				p, err := a.publish(cmd.Context(), h, loaded, s, dryRun, prune)
				if err != nil {
					return err
				}
				done = append(done, *p)
			}
			a.ui.published(done, dryRun, prune)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&names, "site", nil, helpSites)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, helpPublishDryRun)
	cmd.Flags().BoolVar(&prune, "prune", false, helpPrune)
	cmd.Flags().BoolVar(&asJSON, "json", false, helpJSON)
	return cmd
}

// publish uploads what changed of one site, pages after their parts, and then its status.
func (a *app) publish(ctx context.Context, h *maintenance.Host, loaded *site.Content, s config.Site, dryRun, prune bool) (*publication, error) {
	files, err := site.Build(loaded, pageOf(s))
	if err != nil {
		return nil, failed(fmt.Errorf("build the page of %s: %w", s.Name, err))
	}
	bounded, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	existing, err := h.Store.List(bounded, s.Path)
	if err != nil {
		return nil, storeError(fmt.Errorf("see what is published of %s: %w", s.Name, err))
	}
	plan := site.Plan(pageOf(s), files, existing)
	p := &publication{Site: s.Name, Files: []publishedFile{}}
	for _, c := range plan {
		p.Files = append(p.Files, publishedFile{c.Key, c.Action, len(c.Data)})
	}
	if dryRun {
		return p, nil
	}
	sent := 0
	progress := func(c site.Change) {
		sent++
		a.ui.sent(c, sent)
	}
	err = site.Upload(bounded, h.Store, plan, progress)
	if err == nil && prune {
		err = site.Prune(bounded, h.Store, plan, progress)
	}
	a.ui.endLive()
	if err != nil {
		return nil, storeError(fmt.Errorf("publish %s: %w", s.Name, err))
	}
	d, written, err := h.PublishStatus(ctx, s)
	if errors.Is(err, maintenance.ErrRecord) {
		return nil, a.stateError(err)
	}
	if err != nil {
		return nil, storeError(fmt.Errorf("publish the status of %s: %w", s.Name, err))
	}
	p.Status = &publishedStatus{maintenance.StatusKey(s), d.Mode, d.Seq, written}
	bounded, cancel = context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	p.Differs = append([]site.Difference{}, site.Verify(bounded, worldClient(), pageOf(s), files)...)
	return p, nil
}

// storeError is an error of the store, with what an operator can do about it.
func storeError(err error) error {
	if hints := hintFor(err); len(hints) > 0 {
		return failed(err, hints...)
	}
	return failed(err, hintStore)
}

func hintFor(err error) []string {
	if hint := store.Hint(err); hint != "" {
		return []string{hint}
	}
	return nil
}
