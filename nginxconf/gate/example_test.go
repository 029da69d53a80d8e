package gate_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

const secret = "an example's secret, which has to be long"

// token is what the application gives to somebody who logs in.
func token(admin bool) string {
	claims := jwt.MapClaims{"aud": "postgraphile", "isAdmin": admin, "iat": time.Now().Unix()}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		panic(err)
	}
	return text
}

// A gate on a unix socket, asked as nginx asks it.
func Example() {
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "gate.sock")
	l, err := gate.Listen(socket)
	if err != nil {
		fmt.Println(err)
		return
	}
	demo := gate.SiteSource{
		Policy:  gate.Policy{Site: "demo", Audience: "postgraphile", AdminClaim: "isAdmin", MaxAge: 8 * time.Hour},
		Secrets: func() ([]gate.Secret, error) { return []gate.Secret{[]byte(secret)}, nil },
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- gate.Serve(ctx, l, gate.NewHandler([]gate.SiteSource{demo}, time.Now, slog.New(slog.DiscardHandler)))
	}()
	for _, admin := range []bool{true, false} {
		code, err := gate.Client{Socket: socket}.Check(ctx, "demo", token(admin))
		fmt.Println(code, http.StatusText(code), err)
	}
	stop()
	fmt.Println(<-ended)
	// Output:
	// 204 No Content <nil>
	// 401 Unauthorized <nil>
	// <nil>
}
