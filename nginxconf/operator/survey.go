package operator

import (
	"slices"
)

// Survey is what there is to see in the operator's configuration beyond how one site is served.
type Survey struct {
	// HTTPFiles are the files included at the top level of http {}.
	HTTPFiles []string
}

// ReadSurvey reads what nginx -T printed. The error wraps ErrSyntax.
func ReadSurvey(dump []byte) (Survey, error) {
	ds, err := parseDump(dump)
	if err != nil {
		return Survey{}, err
	}
	var out Survey
	for _, d := range ds {
		if d.name != "http" {
			continue
		}
		for _, in := range d.block {
			if in.name == "include" {
				out.HTTPFiles = append(out.HTTPFiles, in.args...)
			}
		}
	}
	return out, nil
}

// Includes reports whether http {} includes the file, by way of symbolic links too.
func (s Survey) Includes(file string) bool {
	return slices.ContainsFunc(s.HTTPFiles, func(f string) bool { return sameFile(f, file) })
}
