package publishing

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// uploadTimeout bounds the listing and the upload of the sites' files.
const uploadTimeout = 5 * time.Minute

// verifyTimeout bounds looking at one site as the world sees it.
const verifyTimeout = 20 * time.Second

// Publication is what publish did, or would do, for one site.
type Publication struct {
	Site   string  `json:"site"`
	Files  []File  `json:"files"`
	Status *Status `json:"status"` // null in a dry run
	// Differs is what the world sees otherwise than it was sent; null in a dry run.
	Differs []site.Difference `json:"differs"`
}

// File is what publish did, or would do, with one file.
type File struct {
	Key    string      `json:"key"`
	Action site.Action `json:"action"`
	Size   int         `json:"size"` // bytes
}

// Status is what publish did with the status of a site.
type Status struct {
	Key     string      `json:"key"`
	Mode    status.Mode `json:"mode"`
	Seq     uint64      `json:"seq"`
	Written bool        `json:"written"` // false when it was there already
}

// Progress is told how far the publishing has got.
type Progress interface {
	// Planned is called once, with what is about to be done.
	Planned(all []Publication, prune bool)
	// Sent is called after each file that was uploaded or deleted: the nth of total.
	Sent(c site.Change, n, total int)
	// Mended is called with the keys of what was sent once more.
	Mended(keys []string)
}

// Publisher brings pages to the store of a host.
type Publisher struct {
	Host     *maintenance.Host
	Progress Progress
	DryRun   bool // only says what would be done
	Prune    bool // deletes what is no longer built
}

// plan is what is to be done for several sites.
type plan struct {
	changes  []site.Change
	sendable [][]site.File // each site's as they go to the store, its status included
	done     []Publication
}

// Publish uploads what changed of the sites, pages after their parts, and then their status. The error is of the
// store, which may wrap ErrUnfinished, or that of Host.PublishStatus.
func (p Publisher) Publish(ctx context.Context, all []Pages) ([]Publication, error) {
	bounded, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	plan, err := p.plan(bounded, all)
	if err != nil {
		return nil, err
	}
	p.Progress.Planned(plan.done, p.Prune)
	if p.DryRun {
		return plan.done, nil
	}
	if err := p.upload(bounded, plan.changes); err != nil {
		return nil, &kinded{ErrUnfinished, fmt.Errorf("publish: %w", err)}
	}
	for i, one := range all {
		if one.InPlace != nil && p.Host.Serves(one.Site) {
			if err := p.Host.Dir().KeepPages(one.Site.Name, one.InPlace); err != nil {
				return nil, err
			}
		}
		d, written, err := p.Host.PublishStatus(ctx, one.Site)
		if err != nil {
			return nil, fmt.Errorf("publish the status of %s: %w", one.Site.Name, err)
		}
		plan.done[i].Status = &Status{maintenance.StatusKey(one.Site), d.Mode, d.Seq, written}
		data, _, err := p.Host.PublishCalendar(ctx, one.Site)
		if err != nil {
			return nil, fmt.Errorf("publish the calendar of %s: %w", one.Site.Name, err)
		}
		if data != nil {
			meta := maintenance.CalendarMeta
			f := site.File{Key: maintenance.CalendarKey(one.Site), Data: data, ContentType: meta.ContentType, CacheControl: meta.CacheControl}
			all[i].Files = append(slices.Clone(one.Files), f)
			plan.sendable[i] = append(plan.sendable[i], f)
		}
	}
	for i, one := range all {
		done := &plan.done[i]
		done.Differs = verify(ctx, one)
		mended, err := p.mend(bounded, done, plan.sendable[i])
		if err != nil {
			return nil, &kinded{ErrUnfinished, fmt.Errorf("publish: %w", err)}
		}
		if mended {
			done.Differs = verify(ctx, one)
		}
	}
	return plan.done, nil
}

// plan compares what was built with what is in the store.
func (p Publisher) plan(ctx context.Context, all []Pages) (*plan, error) {
	// One listing does for several sites: they lie beside each other.
	prefix := ""
	if len(all) == 1 {
		prefix = all[0].Site.Path
	}
	existing, err := p.Host.Store.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("see what is published: %w", err)
	}
	kind, _, err := store.ParseURL(p.Host.Config.Store)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	out := &plan{}
	for _, one := range all {
		files := one.Files
		if kind == store.S3 { // which compresses nothing itself
			files = site.Compressed(files)
		}
		out.sendable = append(out.sendable, append(slices.Clone(files), site.File{
			Key: maintenance.StatusKey(one.Site), ContentType: maintenance.StatusMeta.ContentType, CacheControl: maintenance.StatusMeta.CacheControl}))
		changes := site.Plan(pageOf(one.Site), files, existing)
		done := Publication{Site: one.Site.Name, Files: []File{}}
		for _, c := range changes {
			done.Files = append(done.Files, File{c.Key, c.Action, len(c.Data)})
		}
		out.done, out.changes = append(out.done, done), append(out.changes, changes...)
	}
	return out, nil
}

// upload sends what is new or changed, and deletes what is no longer built where that is wanted.
func (p Publisher) upload(ctx context.Context, changes []site.Change) error {
	sent, total := 0, 0
	for _, c := range changes {
		if c.Action == site.New || c.Action == site.Changed || c.Action == site.Stale && p.Prune {
			total++
		}
	}
	progress := func(c site.Change) {
		sent++
		p.Progress.Sent(c, sent, total)
	}
	err := site.Upload(ctx, p.Host.Store, changes, progress)
	if err == nil && p.Prune {
		err = site.Prune(ctx, p.Host.Store, changes, progress)
	}
	return err
}

// verify sees what the world gets of a site's pages: it asks as a visitor would, from outside.
func verify(ctx context.Context, p Pages) []site.Difference {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	client := &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		DisableKeepAlives: true,
	}}
	return append([]site.Difference{}, site.Verify(ctx, client, pageOf(p.Site), p.Files)...)
}

// mend sends once more what visitors get with other headers because the store has it so: a listing shows only content,
// and so had it as unchanged. It reports whether it sent anything.
func (p Publisher) mend(ctx context.Context, done *Publication, files []site.File) (bool, error) {
	headers, ok := p.Host.Store.(site.HeaderStore)
	if !ok {
		return false, nil
	}
	files = slices.DeleteFunc(files, func(f site.File) bool {
		return !slices.ContainsFunc(done.Differs, func(d site.Difference) bool { return d.Key == f.Key })
	})
	mended, err := site.FixHeaders(ctx, headers, files)
	for i, f := range done.Files {
		if slices.Contains(mended, f.Key) {
			done.Files[i].Action = site.Changed
		}
	}
	done.Status.Written = done.Status.Written || slices.Contains(mended, done.Status.Key)
	p.Progress.Mended(mended)
	return len(mended) > 0, err
}
