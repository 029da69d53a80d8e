// Package publishing brings the content of every site to the store: it builds the pages, uploads what changed, and
// checks from outside that visitors get what was sent.
package publishing

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// The errors of this package wrap one of these. Their text doesn't have it.
var (
	// ErrContent is wrapped where the folder of content can't be read.
	ErrContent = errors.New("the content can't be read")
	// ErrFaults is wrapped where there are faults in the content, beside their fault.List.
	ErrFaults = errors.New("there are faults in the content")
	// ErrSamePlace is wrapped where pages of two sites would lie at one place.
	ErrSamePlace = errors.New("two sites have the same place")
	// ErrUnfinished is wrapped where some of what changed may be uploaded, and the rest not.
	ErrUnfinished = errors.New("not everything is uploaded")
)

// kinded is an error that is of a kind, too.
type kinded struct{ kind, err error }

func (k *kinded) Error() string   { return k.err.Error() }
func (k *kinded) Unwrap() []error { return []error{k.kind, k.err} }

// wordBuiltIn stands for the path of the built-in content.
const wordBuiltIn = "the built-in content"

// Contents returns what the pages of a configuration's sites say, by site: what is in the folder of content, or built
// in, with the files of the site's own folder there laid over it. The error wraps ErrContent or ErrFaults.
func Contents(c *config.Config) (map[string]*site.Content, error) {
	from, where, err := folder(c)
	if err != nil {
		return nil, err
	}
	out := map[string]*site.Content{}
	var shared *site.Content // of the sites that have no folder of their own
	var wrong fault.List
	for _, s := range c.Sites {
		info, err := fs.Stat(from, s.Name)
		own := err == nil && info.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist)
		if !own && shared != nil {
			out[s.Name] = shared
			continue
		}
		loaded, err := site.LoadContent(from, s.Name)
		if faults, is := errors.AsType[fault.List](err); is {
			wrong = append(wrong, faults...)
			continue
		}
		if err != nil {
			return nil, &kinded{ErrContent, fmt.Errorf("read the content in %s: %w", where, err)}
		}
		if out[s.Name] = loaded; !own {
			shared = loaded
		}
	}
	if len(wrong) > 0 {
		return nil, &kinded{ErrFaults, fmt.Errorf("read the content: %w", wrong.Below(where))}
	}
	return out, nil
}

// folder is the folder of content, and its name in messages.
func folder(c *config.Config) (fs.FS, string, error) {
	if c.Content == "" {
		return content.FS, wordBuiltIn, nil
	}
	info, err := os.Stat(c.Content)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", c.Content)
	}
	if err != nil {
		return nil, "", &kinded{ErrContent, fmt.Errorf("read the content: %s:%d: content: %w", c.File, c.Line("content"), err)}
	}
	root, err := os.OpenRoot(c.Content) // which gives out nothing that a link leads to outside
	if err != nil {
		return nil, "", &kinded{ErrContent, fmt.Errorf("read the content: %w", err)}
	}
	return root.FS(), c.Content, nil
}

// Pages are what is built for one site.
type Pages struct {
	Site      config.Site
	Languages []string // that of the main page first
	Files     []site.File
	// InPlace are the copies of the page for nginx to show, by their names (see nginxconf.PageFile); nil where it shows
	// none.
	InPlace map[string][]byte
}

// Build builds the maintenance pages of every site. The remarks tell their authors what they may not know. The error is
// that of Contents, wraps ErrSamePlace, or is of a page that can't be built.
func Build(c *config.Config) (all []Pages, remarks fault.List, err error) {
	loaded, err := Contents(c)
	if err != nil {
		return nil, nil, err
	}
	owner := map[string]config.Site{} // by key
	for _, s := range c.Sites {
		remarks = append(remarks, loaded[s.Name].Remarks()...)
		built, err := site.Build(loaded[s.Name], pageOf(s))
		if err != nil {
			return nil, nil, fmt.Errorf("build the page of %s: %w", s.Name, err)
		}
		for _, f := range built {
			if other, taken := owner[f.Key]; taken {
				return nil, nil, &kinded{ErrSamePlace, fmt.Errorf(
					"build the maintenance site: %s:%d: site.path: the page of site %s would lie at %s, where one of site %s lies already",
					c.File, c.LineOf(s), s.Name, f.Key, other.Name)}
			}
			owner[f.Key] = s
		}
		copies, err := inPlace(loaded[s.Name], s)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, Pages{s, loaded[s.Name].Languages(), built, copies})
	}
	return all, remarks.Below(cmp.Or(c.Content, wordBuiltIn)), nil
}

// inPlace are the copies of a site's page for nginx to show, nil where it shows none.
func inPlace(c *site.Content, s config.Site) (map[string][]byte, error) {
	if !s.ShowsPage() {
		return nil, nil
	}
	copies, err := site.InPlace(c, pageOf(s), nginxconf.StatusPath)
	if err != nil {
		return nil, err
	}
	copies[nginxconf.MainPage] = copies[c.Languages()[0]]
	return copies, nil
}

// Keep brings the copies of the pages that nginx shows of these sites up to date. The error is that of Contents, or of
// a page that can't be built or written: what was there before stays.
func Keep(h *maintenance.Host, sites []config.Site) error {
	if !slices.ContainsFunc(sites, func(s config.Site) bool { return s.ShowsPage() }) {
		return nil
	}
	loaded, err := Contents(h.Config)
	if err != nil {
		return err
	}
	for _, s := range sites {
		copies, err := inPlace(loaded[s.Name], s)
		if err == nil && copies != nil {
			err = h.Dir().KeepPages(s.Name, copies)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func pageOf(s config.Site) site.Site {
	page := site.Site{
		Name: s.Name, Path: s.Path, AppURL: s.AppURL, PageURL: s.PageURL,
		LoginPath: nginxconf.LoginPage(s.Preset, s.LoginPaths),
	}
	if s.JWT != nil {
		page.EnterPath = nginxconf.EnterPath
	}
	return page
}
