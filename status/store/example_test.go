package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/msupply-foundation/conforma-status/status/store"
)

// Of two who change the same version of a file, the second is told.
func ExampleIfMatch() {
	dir, err := os.MkdirTemp("", "store-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := store.Open("dir:"+dir, store.S3Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	first, _ := s.Put(ctx, "demo/status.json", []byte("1"), store.Meta{}, store.IfAbsent())
	_, err = s.Put(ctx, "demo/status.json", []byte("2"), store.Meta{}, store.IfMatch(first))
	fmt.Println("one:", err)
	_, err = s.Put(ctx, "demo/status.json", []byte("3"), store.Meta{}, store.IfMatch(first))
	fmt.Println("the other:", errors.Is(err, store.ErrPrecondition))
	data, _, _ := s.Get(ctx, "demo/status.json")
	fmt.Printf("it says %s\n", data)
	// Output:
	// one: <nil>
	// the other: true
	// it says 2
}

func ExampleParseURL() {
	for _, url := range []string{"dir:/var/www/maintenance/", "s3://maintenance/hosts/a", "/var/www/maintenance"} {
		fmt.Println(store.ParseURL(url))
	}
	// Output:
	// dir /var/www/maintenance <nil>
	// s3 maintenance/hosts/a <nil>
	//   unknown kind of store: want dir:/absolute/path or s3://bucket/prefix
}
