package demo

import (
	"bytes"
	"io"
	"net/http"
)

// recorder keeps an answer as the wire would carry it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	begun  bool
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if !r.begun {
		r.status, r.begun = status, true
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

func (r *recorder) response(to *http.Request) *http.Response {
	return &http.Response{
		StatusCode: r.status, Header: r.header, Body: io.NopCloser(&r.body), ContentLength: int64(r.body.Len()),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: to,
	}
}
