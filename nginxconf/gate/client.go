package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"time"
)

// clientTimeout bounds each question to a gate.
const clientTimeout = time.Second

// maxMetrics is the most that is read of a gate's metrics, in bytes.
const maxMetrics = 1 << 20

// Client asks the gate that listens at a unix socket.
type Client struct {
	Socket string // its path
}

// Answers returns an error where no gate answers.
func (c Client) Answers(ctx context.Context) error {
	code, _, err := c.get(ctx, healthPath, nil)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("it answers %d %s", code, http.StatusText(code))
	}
	return err
}

// Check asks about a token for a site as nginx does, and returns the status of the answer: 204 for an administrator's.
func (c Client) Check(ctx context.Context, site, token string) (int, error) {
	code, _, err := c.get(ctx, checkPath+site, http.Header{"Authorization": {"Bearer " + token}})
	return code, err
}

// Metrics returns the gate's metrics in the text format of Prometheus, nil from a gate that has none.
func (c Client) Metrics(ctx context.Context) ([]byte, error) {
	code, body, err := c.get(ctx, metricsPath, nil)
	if err != nil || code != http.StatusOK { // an older one
		return nil, err
	}
	return body, nil
}

func (c Client) get(ctx context.Context, path string, header http.Header) (code int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gate"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	maps.Copy(req.Header, header)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
		},
		DisableKeepAlives: true,
	}}
	resp, err := client.Do(req)
	if inURL, is := errors.AsType[*url.Error](err); is {
		err = inURL.Err // the address is made up
	}
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxMetrics))
	return resp.StatusCode, body, err
}
