package main

import "fmt"

const (
	hintPreviewListen = "name another address with --listen, or 127.0.0.1:0 for any free port"

	// What the page shows in a preview.
	previewShort = "We are upgrading the application. Your drafts are safe."
	previewLong  = "We are moving the application to a new server, which takes longer than an ordinary upgrade because all files are copied. " +
		"What you have saved is safe and will be there when it opens again. If you were about to submit an application that is due today, " +
		"the deadline is extended by one day for everybody; there is no need to write to us about it.\n" +
		"Averyveryverylongwordthathasnospacesinitatallanddoesnotendbeforethelineisoverandthenitgoesonforawhile."
	previewHere = "Here is the site: /%s\n"
)

// previewing says where the preview is, and what is watched.
func (u *ui) previewing(base, content string) {
	fmt.Fprintf(u.out, "the maintenance site is at %s/\n", base)
	if content == "" {
		fmt.Fprintf(u.out, "it is the built-in content: name a folder of your own as content in the configuration to see it change on each save\n")
	} else {
		fmt.Fprintf(u.out, "it is built anew whenever something in %s is saved\n", content)
	}
	fmt.Fprintln(u.out, "Ctrl-C ends it")
}

// rebuilt says that the content was read again; what was wrong with it has been said.
func (u *ui) rebuilt(fine bool) {
	if fine {
		fmt.Fprintln(u.out, "built anew")
	}
}
