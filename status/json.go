package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// checkVersion returns an error where data is no JSON, says no version, or another one than want: unknown, wrapped.
func checkVersion(data []byte, want int, unknown error) error {
	var head struct {
		Version *int `json:"version"`
	}
	switch err := json.Unmarshal(data, &head); {
	case err != nil:
		return err
	case head.Version == nil:
		return errors.New("no version")
	case *head.Version != want:
		return fmt.Errorf("%w: %d", unknown, *head.Version)
	}
	return nil
}

// readStrictly reads data, which is one value of JSON, into v, and refuses keys that v doesn't know.
func readStrictly(data []byte, v any) error {
	in := json.NewDecoder(bytes.NewReader(data))
	in.DisallowUnknownFields()
	return in.Decode(v)
}

// line is v as one line of JSON that ends in a newline. It has strings, numbers and times outside year 0..9999 only,
// and so can be marshalled.
func line(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic("status: marshal: " + err.Error())
	}
	return append(out, '\n')
}
