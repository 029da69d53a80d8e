package config

// removed are the keys and tables of earlier releases, by their dotted names, and what became of each. A line stays
// here for good: a configuration that was valid once never stops a closing.
var removed = map[string]string{
	"gate.remember": "is no longer used: nginx asks the gate about every request",
}

const hintRemoved = "delete the line"
