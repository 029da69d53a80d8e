package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
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
			c, chosen, err := a.loadSites(names, len(names) == 0, config.Tokens, config.Pages)
			if err != nil {
				return err
			}
			all, err := a.buildAll(c)
			if err != nil {
				return err
			}
			all = slices.DeleteFunc(all, func(p pages) bool {
				return !slices.ContainsFunc(chosen, func(s config.Site) bool { return s.Name == p.site.Name })
			})
			done, err := a.publish(cmd.Context(), c, all, dryRun, prune)
			if err != nil {
				return err
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

// publish uploads what changed of the sites, pages after their parts, and then their status.
func (a *app) publish(ctx context.Context, c *config.Config, all []pages, dryRun, prune bool) ([]publication, error) {
	h, err := a.host(c)
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	// One listing does for several sites: they lie beside each other.
	prefix := ""
	if len(all) == 1 {
		prefix = all[0].site.Path
	}
	existing, err := h.Store.List(bounded, prefix)
	if err != nil {
		return nil, storeError(fmt.Errorf("see what is published: %w", err))
	}
	kind, _, err := store.ParseURL(c.Store)
	if err != nil {
		return nil, usage(fmt.Errorf("open the store: %w", err))
	}
	done := []publication{}
	var plan []site.Change
	sendable := make([][]site.File, len(all)) // each site's as they go to the store, its status included
	for i, p := range all {
		files := p.files
		if kind == store.S3 { // which compresses nothing itself
			files = site.Compressed(files)
		}
		sendable[i] = append(slices.Clone(files), site.File{
			Key: maintenance.StatusKey(p.site), ContentType: maintenance.StatusMeta.ContentType, CacheControl: maintenance.StatusMeta.CacheControl})
		own := site.Plan(pageOf(p.site), files, existing)
		one := publication{Site: p.site.Name, Files: []publishedFile{}}
		for _, c := range own {
			one.Files = append(one.Files, publishedFile{c.Key, c.Action, len(c.Data)})
		}
		done, plan = append(done, one), append(plan, own...)
	}
	a.ui.planned(done, prune)
	if dryRun {
		return done, nil
	}
	sent, total := 0, 0
	for _, c := range plan {
		if c.Action == site.New || c.Action == site.Changed || c.Action == site.Stale && prune {
			total++
		}
	}
	progress := func(c site.Change) {
		sent++
		a.ui.sent(c, sent, total)
	}
	err = site.Upload(bounded, h.Store, plan, progress)
	if err == nil && prune {
		err = site.Prune(bounded, h.Store, plan, progress)
	}
	a.ui.endLive()
	if err != nil {
		return nil, storeError(fmt.Errorf("publish: %w", err), hintPublishAgain)
	}
	for i, p := range all {
		d, written, err := h.PublishStatus(ctx, p.site)
		if err != nil {
			return nil, a.statusError(fmt.Errorf("publish the status of %s: %w", p.site.Name, err))
		}
		done[i].Status = &publishedStatus{maintenance.StatusKey(p.site), d.Mode, d.Seq, written}
	}
	for i, p := range all {
		done[i].Differs = verify(ctx, p)
		mended, err := a.mend(bounded, h.Store, &done[i], sendable[i])
		if err != nil {
			return nil, storeError(fmt.Errorf("publish: %w", err), hintPublishAgain)
		}
		if mended {
			done[i].Differs = verify(ctx, p)
		}
	}
	return done, nil
}

func verify(ctx context.Context, p pages) []site.Difference {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	return append([]site.Difference{}, site.Verify(ctx, worldClient(), pageOf(p.site), p.files)...)
}

// mend sends again, once, what the world sees otherwise because the store has it with other headers: the listing, which
// shows nothing but content, had it unchanged. It reports whether there was such a thing.
func (a *app) mend(ctx context.Context, st store.Store, p *publication, files []site.File) (bool, error) {
	keeper, ok := st.(site.Mender)
	if !ok {
		return false, nil
	}
	files = slices.DeleteFunc(files, func(f site.File) bool {
		return !slices.ContainsFunc(p.Differs, func(d site.Difference) bool { return d.Key == f.Key })
	})
	mended, err := site.Mend(ctx, keeper, files)
	for i, f := range p.Files {
		if slices.Contains(mended, f.Key) {
			p.Files[i].Action = site.Changed
		}
	}
	p.Status.Written = p.Status.Written || slices.Contains(mended, p.Status.Key)
	a.ui.mended(mended)
	return len(mended) > 0, err
}

// statusError is an error of the store or of the state directory, with what an operator can do about it.
func (a *app) statusError(err error) error {
	if hintFor(err) != nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrDenied) {
		return storeError(err)
	}
	return a.stateError(err)
}

// storeError is an error of the store, with what an operator can do about it.
func storeError(err error, more ...string) error {
	if hints := hintFor(err); len(hints) > 0 {
		return failed(err, append(hints, more...)...)
	}
	return failed(err, hintStore)
}

func hintFor(err error) []string {
	if hint := store.Hint(err); hint != "" {
		return []string{hint}
	}
	return nil
}
