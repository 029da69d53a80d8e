package fault_test

import (
	"fmt"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

func Example() {
	found := fault.List{
		{File: "index.pt.md", Line: 2, Key: "title", Problem: "is empty", Hint: "write a text behind it, or remove the line"},
		{File: "index.en.md", Problem: "is missing"},
		{File: "index.pt.md", Line: 1, Problem: "there is no front matter"},
		{File: "index.en.md", Problem: "is missing"},
	}
	fmt.Println(found.Below("/etc/conforma-status/content").Error())
	// Output:
	// /etc/conforma-status/content/index.en.md: is missing
	// /etc/conforma-status/content/index.pt.md:1: there is no front matter
	// /etc/conforma-status/content/index.pt.md:2: title: is empty
}
