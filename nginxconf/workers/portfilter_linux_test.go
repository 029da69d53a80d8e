package workers

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

// TestListOfPorts asks the kernel for the sockets with some ports: those that listen come too, whatever their port is.
func TestListOfPorts(t *testing.T) {
	if _, err := listDiag(Network{}, inUse, nil); err != nil {
		t.Skip("LEFT OUT: the kernel can't be asked: ", err)
	}
	client, server, _ := pair(t)
	near, far := client.LocalAddr().(*net.TCPAddr).AddrPort(), server.LocalAddr().(*net.TCPAddr).AddrPort()
	var many []uint16 // with each other one between
	for port := near.Port(); len(many) < 500; port += 2 {
		many = append(many, port)
	}
	for _, test := range []struct {
		what  string
		ports []uint16
		found bool
	}{
		{"all", nil, true},
		{"none", []uint16{}, false},
		{"the client's", []uint16{near.Port()}, true},
		{"the server's", []uint16{far.Port()}, true},
		{"the server's among others", []uint16{1, far.Port(), 3, 2}, true},
		{"others", []uint16{1, 2, 3, 7}, false},
		{"many", many, true},
	} {
		got, err := listDiag(Network{}, inUse, test.ports)
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
		}
		seen := func(local, remote netip.AddrPort) bool {
			return slices.ContainsFunc(got, func(s diagSocket) bool { return s.local == local && s.remote == remote })
		}
		if seen(near, far) != test.found || seen(far, near) != test.found {
			t.Errorf("%s: seen from the client %v, from the server %v, want %v", test.what, seen(near, far), seen(far, near), test.found)
		}
		if !slices.ContainsFunc(got, func(s diagSocket) bool { return s.local == far && s.listening() }) {
			t.Errorf("%s: the listener isn't seen", test.what)
		}
	}
}

func TestRangesOfPorts(t *testing.T) {
	var spread, far []uint16
	for i := range uint16(100) {
		spread, far = append(spread, 8000+2*i), append(far, 600*i)
	}
	for _, test := range []struct {
		what  string
		ports []uint16
		want  []portRange
	}{
		{"none", nil, nil},
		{"one, twice", []uint16{80, 80}, []portRange{{80, 80}}},
		{"neighbours", []uint16{82, 80, 81, 90}, []portRange{{80, 82}, {90, 90}}},
		{"the first and the last that there are", []uint16{65535, 0}, []portRange{{0, 0}, {65535, 65535}}},
		{"many", spread, []portRange{{8000, 8198}}},
		{"many, far from each other", far, []portRange{{0, 59400}}},
	} {
		if got := rangesOf(test.ports); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.what, got, test.want)
		}
	}
}
