//go:build !linux

package demo

import "syscall"

// ownGroup can't have the kernel end the program with this one: only Linux offers that.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
