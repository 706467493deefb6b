package edge

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"

	"sunspool/wire"
)

// post sends as many of the records as fit in one request, and returns how many these were and how long their body was.
func (u *Uploader) post(ctx context.Context, records []Record) (sent, size int, receipt wire.Receipt, err error) {
	id := rand.Text()
	body, sent, err := u.encode(records, id)
	if err != nil {
		return sent, 0, receipt, err
	}
	compress := !now().Before(u.plainUntil)
	receipt, err = u.try(ctx, body, compress, sent, id)
	if !compress || err == nil {
		u.gzipTaken = u.gzipTaken || err == nil && compress
		return sent, len(body), receipt, err
	}
	// A server that cannot decompress says so by 415, or finds that the body is not JSON.
	_, refused := err.(*suspect)
	if _, unsupported := err.(*unsupportedEncoding); !unsupported && (!refused || u.gzipTaken) {
		return sent, len(body), receipt, err
	}
	receipt, plainErr := u.try(ctx, body, false, sent, id)
	if _, again := plainErr.(*suspect); !again {
		u.plainUntil = now().Add(plainFor)
	}
	return sent, len(body), receipt, plainErr
}

// unsupportedEncoding is the answer 415 to a compressed batch.
type unsupportedEncoding struct{ foreign }

// unsendable is a sample that JSON has no form for.
type unsendable struct{ error }

// encode writes the body of a batch. It holds at least one sample.
func (u *Uploader) encode(records []Record, id string) ([]byte, int, error) {
	var b bytes.Buffer
	b.WriteString(`{"samples":[`)
	most := max(u.limitBytes-envelope, u.limitBytes/2)
	n := 0
	for _, r := range records {
		sample, err := json.Marshal(r.Sample)
		if err != nil && n == 0 {
			return nil, 1, &unsendable{err}
		}
		if err != nil || n > 0 && b.Len()+len(sample) > most {
			break
		}
		if n > 0 {
			b.WriteByte(',')
		}
		b.Write(sample)
		n++
	}
	rest, err := json.Marshal(struct {
		ID   string     `json:"batch_id"`
		Zone string     `json:"tz,omitempty"`
		Edge *wire.Edge `json:"edge,omitempty"`
	}{id, u.Zone, u.Describe()})
	if err != nil {
		return nil, 0, err
	}
	b.WriteString("],")
	b.Write(rest[1:]) // the rest of one object
	return b.Bytes(), n, nil
}

// try makes one request and judges its answer.
func (u *Uploader) try(ctx context.Context, body []byte, compress bool, n int, id string) (wire.Receipt, error) {
	token, err := u.Token.Get()
	if err != nil {
		return wire.Receipt{}, &denied{why: err.Error()}
	}
	if compress {
		body = u.zip(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.URL, bytes.NewReader(body))
	if err != nil {
		return wire.Receipt{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", wire.Lenient)
	req.Header.Set("User-Agent", u.Agent)
	if compress {
		req.Header.Set("Content-Encoding", "gzip")
	}
	u.Requests.Add(1)
	resp, answer, err := u.do(req)
	if err != nil {
		return wire.Receipt{}, err
	}
	receipt, err := judge(resp.StatusCode, resp.Header, answer, n, id, token) // which must not come back in a log
	if d, ok := err.(*denied); ok && u.Token.trouble != nil {
		d.why += "; the file with a new one is not used: " + u.Token.trouble.Error()
	}
	refused := resp.StatusCode >= 400 && resp.StatusCode < 500 && isEnvelope(resp.Header, answer)
	u.origin.answered(resp, err == nil || refused)
	if v, ours := strings.CutPrefix(resp.Header.Get("Server"), "sunspool/"); ours && err == nil {
		u.version = v
	}
	if f, ok := err.(*foreign); ok && compress && resp.StatusCode == http.StatusUnsupportedMediaType {
		return receipt, &unsupportedEncoding{*f}
	}
	return receipt, err
}

// zip compresses body. The compressor is kept: it is larger than most batches.
func (u *Uploader) zip(body []byte) []byte {
	var b bytes.Buffer
	if u.gzip == nil {
		u.gzip = gzip.NewWriter(&b)
	}
	u.gzip.Reset(&b)
	u.gzip.Write(body) // writing to memory does not fail
	u.gzip.Close()
	return b.Bytes()
}

// clip bounds what a server may have us keep.
func clip(s string) string { return s[:min(len(s), maxQuote)] }
