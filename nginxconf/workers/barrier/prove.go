//go:build linux

package barrier

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Prove tries, with the user and group of each worker and in nginx's namespace, to connect to each end that is to be
// refused to nginx. Each connection has to be refused, and the table has to have counted it as one that it refused:
// one that nobody answers proves nothing. An address that there is no way to from there needs no proof.
//
// What it tries is not counted as nginx's. The error wraps ErrNotProven and says for whom, and where, it failed, also
// where there is something to prove and users is empty. CAP_SETUID and CAP_SETGID are needed, else it wraps
// ErrNotAllowed.
func (t Table) Prove(ctx context.Context, r Rules, users []User) error {
	_, err := t.proven(ctx, r, users)
	return err
}

// proven is Prove, and what the kernel has after it.
func (t Table) proven(ctx context.Context, r Rules, users []User) (State, error) {
	s, err := t.prove(ctx, r.refusedToNginx(), users)
	if err != nil {
		return State{}, fmt.Errorf("prove the kernel barrier: %w", err)
	}
	return s, nil
}

func (t Table) prove(ctx context.Context, ends []End, users []User) (State, error) {
	if len(ends) == 0 {
		return t.Read(ctx)
	}
	if len(users) == 0 {
		return State{}, fmt.Errorf("%w: no worker of nginx is known", ErrNotProven)
	}
	before, err := t.readOf(ctx, nginxProven)
	if err != nil {
		return State{}, err
	}
	tried := map[string]*trial{}
	err = t.Network.Within(ctx, func() {}, func() error {
		for _, u := range users {
			if err := become(u); err != nil {
				return err
			}
			for _, end := range ends {
				if ctx.Err() != nil {
					return fmt.Errorf("%w: %w", workers.ErrNoAnswer, ctx.Err())
				}
				tries, err := end.refuses(u)
				if err != nil {
					return err
				}
				at := of(nginxProven, end.kind()) + key(end.kind(), end.Addr)
				if tried[at] == nil {
					tried[at] = &trial{end: end, before: before.proven(end)}
				}
				tried[at].times += tries
			}
		}
		return nil
	})
	if err != nil {
		return State{}, err
	}
	after, err := t.Read(ctx)
	if err != nil {
		return State{}, err
	}
	for _, one := range tried {
		if now := after.proven(one.end); now < one.before+one.times {
			return State{}, fmt.Errorf("%w: %v refuses, and it isn't the table that does", ErrNotProven, one.end.Addr)
		}
	}
	return after, nil
}

// trial is how often an end was tried, and how often it had refused before.
type trial struct {
	end           End
	before, times uint64
}

func (s State) proven(e End) uint64 {
	return s.counts[of(nginxProven, e.kind())][key(e.kind(), e.Addr)]
}

// refusedToNginx are the ends that nginx is not to reach.
func (r Rules) refusedToNginx() []End {
	var out []End
	for _, s := range r.Sites {
		if s.Nginx == Refuse {
			out = append(out, s.Ends...)
		}
	}
	return out
}

// become makes this thread a user's as far as its sockets go. They are whose file system user id the thread has when
// it opens them: that is what nf_tables looks at, of nginx's workers too.
func become(u User) error {
	// setfsuid(2) doesn't say that it failed, but what the id was before.
	_, _ = unix.SetfsgidRetGid(int(u.Group))
	_, _ = unix.SetfsuidRetUid(int(u.Here))
	group, _ := unix.SetfsgidRetGid(-1)
	user, err := unix.SetfsuidRetUid(-1)
	if uint32(user) != u.Here || uint32(group) != u.Group {
		return errors.Join(fmt.Errorf("%w: it may not act as user %d, CAP_SETUID and CAP_SETGID are needed", ErrNotAllowed, u.Here), err)
	}
	return nil
}

// patience is how long an answer is waited for. A reset is there at once, and costs no time to wait for.
var patience = unix.Timeval{Sec: 1}

// refuses tries once whether a connection is refused, and returns how many tries that were: none where there is no
// way to the end. The error wraps ErrNotProven.
func (e End) refuses(u User) (tries uint64, err error) {
	switch err := e.connect(); {
	case err == nil:
		return 0, fmt.Errorf("%w: user %d gets through to %v", ErrNotProven, u.Here, e.Addr)
	case errors.Is(err, unix.ECONNREFUSED):
		return 1, nil
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EADDRNOTAVAIL), errors.Is(err, unix.EAFNOSUPPORT):
		return 0, nil
	case errors.Is(err, unix.EINPROGRESS), errors.Is(err, unix.EAGAIN):
		return 0, fmt.Errorf("%w: user %d isn't refused at %v", ErrNotProven, u.Here, e.Addr)
	default:
		return 0, fmt.Errorf("%w: user %d isn't refused at %v: %w", ErrNotProven, u.Here, e.Addr, err)
	}
}

// connect opens a connection to the end, and resets it if it comes about.
func (e End) connect() error {
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: e.Addr.Addr().As16(), Port: int(e.Addr.Port())})
	if e.Addr.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Addr: e.Addr.Addr().As4(), Port: int(e.Addr.Port())}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	mark := uint32(proofPriority)
	for _, err := range []error{
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, int(int32(mark))),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
	} {
		if err != nil {
			return err
		}
	}
	for {
		if err := unix.Connect(fd, to); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
