package modes

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestWhereHTTP2IsAllThatIsSpoken has sites where nginx, up to 1.24, understands HTTP/2 with prior knowledge and
// nothing else: it is asked so.
func TestWhereHTTP2IsAllThatIsSpoken(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]string{"gRPC": " http2", "gRPC behind the PROXY protocol": " http2 proxy_protocol"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rig.NewSingle(t)
			addr := grpcApplication(t)
			rig.Edit(t, s.Config, fmt.Sprintf("%q", rig.Loopback(s.App.Port)), fmt.Sprintf("%q", addr))
			s.CLI(t, "render").Want(t, 0)
			s.WriteNginx(t)
			at := "listen " + rig.Loopback(s.Blocks[0].Port)
			rig.Edit(t, s.Nginx.Conf, at+";", at+listen+";")
			rig.Edit(t, s.Nginx.Conf, "proxy_pass http://"+rig.Loopback(s.App.Port)+";", "grpc_pass grpc://"+addr+";")
			s.Nginx.Start(t)
			call := rig.Message{Method: "POST", Target: "/conforma.Applications/Get", Header: []string{"Content-Type: application/grpc", "TE: trailers"}}
			for mode, want := range map[string]int{"offline": 503, "admin": 503, "online": 200} {
				s.CLI(t, "set", mode).Want(t, 0)
				if !strings.Contains(listen, "proxy") {
					if got := s.Client().DoHTTP2(t, call); got.Status != want || want == 503 && got.Header.Get("X-Conforma-Status") != mode {
						t.Errorf("%s: a call gets %d", mode, got.Status)
					}
				}
				s.CLI(t, "get").Want(t, 0)
				if r := s.CLI(t, "reconcile").Want(t, 0); strings.Contains(r.Stderr, rig.SingleSite) {
					t.Errorf("%s: reconcile did something where all is well: %s", mode, r.Stderr)
				}
			}
		})
	}
}

// grpcApplication answers whatever comes over HTTP/2 without TLS, and returns its address.
func grpcApplication(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", rig.Loopback(rig.Port(t)))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(http.StatusOK)
		w.Header().Set("Grpc-Status", "0")
	})}
	server.Protocols.SetUnencryptedHTTP2(true)
	rig.Serve(t, l, server)
	return l.Addr().String()
}
