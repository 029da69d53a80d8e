package barrier

import (
	"net"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// nameServer answers any question with 127.0.0.1, once it is let.
type nameServer struct {
	conn   net.PacketConn
	mu     sync.Mutex
	let    chan struct{} // closed once it is let
	asked  chan struct{} // has something for each question
	served sync.WaitGroup
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameServer{conn: conn, let: make(chan struct{}), asked: make(chan struct{}, 100)}
	n.served.Go(n.serve)
	t.Cleanup(func() {
		n.answer()
		conn.Close()
		n.served.Wait()
	})
	return n
}

func (n *nameServer) addr() string { return n.conn.LocalAddr().String() }

// answer has it answer what it was asked, and what it will be.
func (n *nameServer) answer() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.let:
	default:
		close(n.let)
	}
}

// hold has it keep the answers to what it is asked from now on. What it was asked before, which nginx may have asked
// more than once, is forgotten.
func (n *nameServer) hold() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.let = make(chan struct{})
	for len(n.asked) > 0 {
		<-n.asked
	}
}

// isAsked waits for a question.
func (n *nameServer) isAsked(t *testing.T) {
	t.Helper()
	rig.WaitFor(t, "the name server to be asked", func() bool {
		select {
		case <-n.asked:
			return true
		default:
			return false
		}
	})
}

func (n *nameServer) serve() {
	buf := make([]byte, 512)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return // it was closed
		}
		var m dnsmessage.Message
		if err := m.Unpack(buf[:size]); err != nil || len(m.Questions) == 0 {
			continue
		}
		m.Response, m.Additionals = true, nil
		q := m.Questions[0]
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
		text, err := m.Pack()
		if err != nil {
			continue
		}
		select {
		case n.asked <- struct{}{}:
		default:
		}
		n.mu.Lock()
		let := n.let
		n.mu.Unlock()
		n.served.Go(func() {
			<-let
			_, _ = n.conn.WriteTo(text, from) // nginx may have given up
		})
	}
}
