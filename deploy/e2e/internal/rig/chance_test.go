package rig

import (
	"slices"
	"testing"
)

func TestChanceIsTheSameForASeed(t *testing.T) {
	t.Setenv(seedEnv, "7")
	t.Setenv(casesEnv, "one, killed before it; another")
	c, again := NewChance(t), NewChance(t)
	for range 100 {
		if a, b := c.IntN(1000), again.IntN(1000); a != b {
			t.Fatalf("%d and %d", a, b)
		}
	}
	if c.Rank("one") != again.Rank("one") || c.Rank("one") == c.Rank("another") {
		t.Error("a case's rank isn't its own")
	}
	cases := []string{"one, killed before it", "another"}
	if got := c.Cases(); !slices.Equal(got, cases) {
		t.Errorf("the cases are %q", got)
	}
	for _, name := range cases {
		c.Failed(name)
	}
	want := "repeat with: CONFORMA_STATUS_SEED=7 CONFORMA_STATUS_CASES='one, killed before it; another' " +
		"go test -C deploy/e2e -vet=off -count=1 -run '^TestChanceIsTheSameForASeed$' ./internal/rig"
	if got := c.repeat(t); got != want {
		t.Errorf("it says %s", got)
	}
}
