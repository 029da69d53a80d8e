package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestMessages(t *testing.T) {
	all := func(s string) *string { return &s }
	for name, tt := range map[string]struct {
		values []string
		all    *string
		of     map[string]string
		err    string
	}{
		"for everybody":         {[]string{"Hello."}, all("Hello."), nil, ""},
		"in one language":       {[]string{"pt=Olá."}, nil, map[string]string{"pt": "Olá."}, ""},
		"in several":            {[]string{"pt-BR=Oi.", "Hello.", "fr=Salut = bonjour."}, all("Hello."), map[string]string{"pt-BR": "Oi.", "fr": "Salut = bonjour."}, ""},
		"a short word":          {[]string{"so"}, all("so"), nil, ""},
		"an equals sign":        {[]string{"mode=safe"}, all("mode=safe"), nil, ""},
		"like a language":       {[]string{"=id=5 moves"}, all("id=5 moves"), nil, ""},
		"capitals":              {[]string{"A=B"}, all("A=B"), nil, ""},
		"lines":                 {[]string{"pt=Um\nDois"}, nil, map[string]string{"pt": "Um\nDois"}, ""},
		"two for everybody":     {[]string{"a", "b"}, nil, nil, "two messages for everybody"},
		"two in one language":   {[]string{"pt=a", "pt=b"}, nil, nil, "two messages in pt"},
		"nothing":               {[]string{""}, nil, nil, "the message is empty"},
		"nothing in Portuguese": {[]string{"pt= "}, nil, nil, "the message in pt is empty"},
		"too long":              {[]string{"fr=" + strings.Repeat("ü", 2001)}, nil, nil, "the message in fr is 2001 characters long"},
	} {
		t.Run(name, func(t *testing.T) {
			got, of, err := parseMessages(tt.values)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want … %s …", err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.all) || !reflect.DeepEqual(of, tt.of) {
				t.Errorf("got %v, %v, %v", got, of, err)
			}
		})
	}
}
