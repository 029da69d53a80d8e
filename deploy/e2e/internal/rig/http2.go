package rig

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// DoHTTP2 sends m over HTTP/2 on a connection of its own. The frames are written by hand, since a client
// library would clean the path. Both bodies have to be small: one frame there, a megabyte back.
func (c Client) DoHTTP2(tb testing.TB, m Message) Response {
	tb.Helper()
	conn, err := c.dial("h2")
	if err != nil {
		tb.Fatalf("rig: connect to %s: %v", c.Addr, err)
	}
	defer conn.Close()
	res, err := exchangeHTTP2(conn, m.withDefaults(), c.Host)
	if err != nil {
		tb.Fatalf("rig: %s %s over HTTP/2: %v", m.Method, m.Target, err)
	}
	return res
}

func exchangeHTTP2(conn io.ReadWriter, m Message, host string) (Response, error) {
	const stream, window = 1, 1 << 20
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	field := func(name, value string) {
		_ = enc.WriteField(hpack.HeaderField{Name: name, Value: value}) // to a buffer: can't fail
	}
	field(":method", m.Method)
	field(":scheme", "https")
	field(":authority", host)
	field(":path", m.Target)
	for _, line := range m.Header {
		name, value, _ := strings.Cut(line, ":")
		field(strings.ToLower(name), strings.TrimSpace(value))
	}

	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return Response{}, err
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	if err == nil {
		err = framer.WriteWindowUpdate(0, window)
	}
	if err != nil {
		return Response{}, err
	}
	err = framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: m.Body == "",
	})
	if err == nil && m.Body != "" {
		err = framer.WriteData(stream, true, []byte(m.Body))
	}
	if err != nil {
		return Response{}, err
	}

	res := Response{Proto: "HTTP/2.0", Header: http.Header{}}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return res, err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if err := framer.WriteSettingsAck(); err != nil {
					return res, err
				}
			}
		case *http2.MetaHeadersFrame:
			res.Status, _ = strconv.Atoi(f.PseudoValue("status"))
			for _, h := range f.RegularFields() {
				res.Header.Add(h.Name, h.Value)
			}
		case *http2.DataFrame:
			res.Body += string(f.Data())
		case *http2.RSTStreamFrame:
			return res, fmt.Errorf("the stream was reset: %v", f.ErrCode)
		case *http2.GoAwayFrame:
			return res, fmt.Errorf("the server went away: %v", f.ErrCode)
		}
		if frame.Header().StreamID == stream && frame.Header().Flags.Has(http2.FlagDataEndStream) {
			return res, nil
		}
	}
}
