//go:build !linux

package workers

import "errors"

// Only Linux has sock_diag(7), and nginx is looked at there.

func listDiag(Network) ([]diagSocket, error) { return nil, errors.ErrUnsupported }

func destroy(Network, Connection) error { return ErrCantDestroy }
