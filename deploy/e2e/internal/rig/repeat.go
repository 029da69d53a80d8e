package rig

import "time"

// Repeat does something again and again, each time after that pause, until stop is called. stop waits for the last
// time.
func Repeat(pause time.Duration, do func()) (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stopped:
				return
			case <-time.After(pause):
				do()
			}
		}
	}()
	return func() { close(stopped); <-ended }
}
