package rig

import (
	"os"
	"strings"
	"testing"
)

// ReadFile returns what is in a file.
func ReadFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// BrokenConf is what nginx takes no configuration with.
const BrokenConf = "somebody_else is_not_done;\n"

// Edit replaces old, which has to be there, by new everywhere in a file.
func Edit(t testing.TB, path, old, new string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %q:\n%s", path, old, data)
	}
	WriteFile(t, path, strings.ReplaceAll(string(data), old, new))
}

// Check fails the test where there is an error.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
