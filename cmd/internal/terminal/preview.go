package terminal

import "fmt"

// Previewing says where the preview is, and what is watched: a folder, "" for the built-in content.
func (t *Terminal) Previewing(base, content string) {
	fmt.Fprintf(t.Out, "the maintenance site is at %s/\n", base)
	if content == "" {
		fmt.Fprintf(t.Out, "it is the built-in content: name a folder of your own as content in the configuration to see it change on each save\n")
	} else {
		fmt.Fprintf(t.Out, "it is built anew whenever something in %s is saved\n", content)
	}
	fmt.Fprintln(t.Out, "Ctrl-C ends it")
}

// Rebuilt says that the content was read again; what was wrong with it has been said.
func (t *Terminal) Rebuilt(fine bool) {
	if fine {
		fmt.Fprintln(t.Out, "built anew")
	}
}
