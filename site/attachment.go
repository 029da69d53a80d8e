package site

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

const (
	// maxAttachment is the size, in bytes, up to which a file is published with the page.
	maxAttachment = 1 << 20
	// budget is the size, in bytes, from which on a file is named: it is more than the page with all else that it needs.
	budget = 50_000
)

// attachmentKinds are the content types of what is published, by the ending of the name.
var attachmentKinds = map[string]string{
	".avif": "image/avif", ".gif": "image/gif", ".ico": "image/x-icon", ".jpeg": "image/jpeg", ".jpg": "image/jpeg",
	".png": "image/png", ".svg": "image/svg+xml", ".webp": "image/webp", ".pdf": "application/pdf",
	".txt": "text/plain; charset=utf-8",
}

// attachmentName is what the name of a published file may be: it stands in addresses as it is.
var attachmentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// attachment is a picture or another file beside the Markdown that is published with the page.
type attachment struct {
	name string
	kind string // content type
	data []byte
}

// attachments are those of a page, by name. One that has no kind is too large to be published.
type attachments map[string]attachment

// named returns the attachment that an address in Markdown means, and what follows the name in it.
func (a attachments) named(dest []byte) (of attachment, rest string, ok bool) {
	name := strings.TrimPrefix(string(dest), "./")
	if i := strings.IndexAny(name, "?#"); i >= 0 {
		name, rest = name[:i], name[i:]
	}
	of, ok = a[name]
	return of, rest, ok
}

// readAttachments reads what lies beside the Markdown of the layers and is of a kind that is published. It finds the
// faults of names of all files of the content, too.
func readAttachments(layers []layer) (all attachments, faults, remarks fault.List, err error) {
	all = attachments{}
	folded := map[string]string{} // names in lower case
	for _, l := range layers {
		entries, err := fs.ReadDir(l, ".")
		if err != nil {
			return nil, nil, nil, err
		}
		for _, e := range entries {
			name, file := e.Name(), path.Join(l.name, e.Name())
			kind, published := attachmentKinds[strings.ToLower(path.Ext(name))]
			published = published && !strings.HasPrefix(name, ".")
			if e.IsDir() || !published && !isContent(name) {
				continue
			}
			if other := folded[strings.ToLower(name)]; other != "" && other != name {
				faults = append(faults, fault.Fault{
					File: file, Problem: fmt.Sprintf("differs from %s only in upper and lower case", other),
					Hint: "rename one of the two: on many machines they are one file",
				})
			}
			folded[strings.ToLower(name)] = name
			if !published {
				continue
			}
			info, err := fs.Stat(l, name)
			if err != nil {
				if wrong := badLink(file, e); wrong != nil {
					faults = append(faults, *wrong)
					continue
				}
				return nil, nil, nil, err
			}
			if !info.Mode().IsRegular() {
				continue
			}
			if !attachmentName.MatchString(name) {
				remarks = append(remarks, fault.Fault{
					File: file, Problem: "is not published: its name has more than letters, digits, and . _ -", Hint: "rename it",
				})
				continue
			}
			a := attachment{name: name}
			if info.Size() <= maxAttachment {
				a.kind = kind
				if a.data, err = fs.ReadFile(l, name); err != nil {
					return nil, nil, nil, err
				}
			}
			if info.Size() > budget {
				remarks = append(remarks, fault.Fault{File: file, Problem: tooLarge(info.Size()), Hint: "make it smaller: the page has 6 kB"})
			}
			all[name] = a
		}
	}
	return all, faults, remarks, nil
}

func tooLarge(size int64) string {
	if size > maxAttachment {
		return fmt.Sprintf("is not published: it is %d bytes, at most %d are", size, maxAttachment)
	}
	return fmt.Sprintf("is %d bytes, more than %d: visitors with a slow connection wait for it", size, budget)
}

// badLink returns a fault for a file that can't be read because it is a symbolic link out of the content, or to
// nothing; nil for any other. A folder of content is opened as an os.Root, which gives out nothing from outside.
func badLink(file string, e fs.DirEntry) *fault.Fault {
	if e.Type()&fs.ModeSymlink == 0 {
		return nil
	}
	return &fault.Fault{
		File: file, Problem: "is a symbolic link that leads out of the content, or to nothing", Hint: "put the file itself there",
	}
}

// sorted returns those that are published, by name.
func (a attachments) sorted() (out []attachment) {
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name].kind != "" {
			out = append(out, a[name])
		}
	}
	return out
}

// attachedAt is the scheme of an address of an attachment in rendered Markdown, until it is known where the page lies.
const attachedAt = "attached:"

// at is the markup on a page from which base leads to the attachments.
func (m markup) at(base string) markup {
	return markup(strings.ReplaceAll(string(m), `="`+attachedAt, `="`+base))
}

// onceOfHTML says of HTML that is left out once that it is, and where else.
func onceOfHTML(all fault.List) fault.List {
	var out fault.List
	var files []string
	first := -1
	for _, f := range all {
		switch {
		case f.Hint != hintHTML:
		case first < 0:
			first = len(out)
		default:
			files = append(files, f.File)
			continue
		}
		out = append(out, f)
	}
	if len(files) > 0 {
		slices.Sort(files)
		out[first].Problem += ", and so is other HTML in " + strings.Join(slices.Compact(files), ", ")
	}
	return out
}

// mention is where Markdown means an attachment.
type mention struct {
	line int // 0-based
	name string
}

// attach has links and pictures that mean an attachment lead there.
func (t *sanitizer) attach(n ast.Node, dest []byte) (to []byte, ok bool) {
	a, rest, ok := t.files.named(dest)
	if !ok {
		return dest, false
	}
	t.attached = append(t.attached, mention{t.lineOf(n), a.name})
	return []byte(attachedAt + a.name + rest), true
}
