package site

import (
	"fmt"
	"strings"
)

// InPlace renders the pages of a site for the application's own addresses, where they are shown whatever is asked for:
// by language tag, and by each tag's first subtag if no other page has that. statusPath is where the application's
// server has the status document. Whoever chooses another language goes to the page at s.PageURL. It is pure, and its
// errors are Build's.
func InPlace(c *Content, s Site, statusPath string) (map[string][]byte, error) {
	app, err := s.validate()
	if err != nil {
		return nil, fmt.Errorf("build page of site %s: %w", s.Name, err)
	}
	at, err := absolute(s.PageURL)
	if err != nil {
		return nil, fmt.Errorf("build page of site %s: page_url: %w", s.Name, err)
	}
	pages := map[string][]byte{}
	for i, p := range c.pages {
		pages[p.lang] = c.pageAt(p, s, app, whereabouts{
			status: statusPath, files: s.PageURL, origin: origin(at), languages: c.languages(i, s.PageURL),
		})
	}
	for _, p := range c.pages {
		if base, _, _ := strings.Cut(p.lang, "-"); pages[base] == nil {
			pages[base] = pages[p.lang]
		}
	}
	return pages, nil
}
