package upload

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"

	"sunspool/edge/spool"
	"sunspool/wire"
)

// post sends as many of the records as fit in one request, and returns how many these were and how long their body was.
// Of two answers, to the compressed and to the plain body, the better one counts. While the request is under way the next
// batch is prepared, of up to next samples, see prepared.
func (u *Uploader) post(ctx context.Context, records []spool.Record, next int) (sent, size int, receipt wire.Receipt, err error) {
	id := rand.Text()
	p, err := u.take(records)
	if err != nil {
		return 1, 0, receipt, err
	}
	end, err := u.end(id)
	if err != nil {
		return 0, 0, receipt, err
	}
	sent = p.n
	compress := u.plain.compress()
	body, packed := u.finish(p, end, compress)
	u.prepare(records, sent, next)
	if !compress {
		receipt, err = u.try(ctx, body, false, sent, id)
		return sent, len(body), receipt, err
	}
	receipt, err = u.try(ctx, packed, true, sent, id)
	if err == nil || ctx.Err() != nil || !u.plain.try(err, sent, u.Backoff.Failures()) {
		return sent, len(body), receipt, err
	}
	known := u.identity.known
	plainReceipt, plainErr := u.try(ctx, body, false, sent, id)
	u.plain.took(plainErr, sent)
	u.identity.known = known // a server is not known by what it says of the same batch
	if _, nobody := plainErr.(*intermediary); nobody || isNetwork(plainErr) {
		return sent, len(body), receipt, err
	}
	return sent, len(body), plainReceipt, plainErr
}

// isNetwork reports whether err is no answer at all.
func isNetwork(err error) bool {
	switch err.(type) {
	case nil, *intermediary, *later, *denied, *refusal, *tooLarge:
		return false
	}
	return true
}

// unsendable is a sample that JSON has no form for.
type unsendable struct{ error }

// encode writes the body of a batch up to its end, with as many of the records as fit. It holds at least one sample.
func (u *Uploader) encode(records []spool.Record, most int) (*prepared, error) {
	p := &prepared{records: records, most: most}
	var sample []byte
	b := &p.body
	b.WriteString(`{"samples":[`)
	for _, r := range records {
		var err error
		sample, err = u.json.Append(sample[:0], &r.Sample)
		if err != nil && p.n == 0 {
			return nil, &unsendable{err}
		}
		if err != nil || p.n > 0 && b.Len()+len(sample) > most {
			break
		}
		if p.n == 0 {
			b.Grow(min(most, len(records)*(len(sample)+1)) + envelope)
		} else {
			b.WriteByte(',')
		}
		b.Write(sample)
		p.n++
	}
	return p, nil
}

// end returns what follows the samples in a body: it is of the moment in which the body is sent.
func (u *Uploader) end(id string) ([]byte, error) {
	rest := struct {
		ID   string     `json:"batch_id"`
		Zone string     `json:"tz,omitempty"`
		Edge *wire.Edge `json:"edge,omitempty"`
	}{ID: id}
	if !u.oversize.bare() {
		rest.Zone, rest.Edge = u.Zone, u.Describe()
	}
	end, err := json.Marshal(rest)
	if err != nil {
		return nil, err
	}
	return append([]byte("],"), end[1:]...), nil // the rest of one object
}

// try makes one request and judges its answer.
func (u *Uploader) try(ctx context.Context, body []byte, compress bool, n int, id string) (wire.Receipt, error) {
	token, err := u.Token.Get()
	if err != nil {
		return wire.Receipt{}, &denied{why: err.Error()}
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
	u.onWire = len(body)
	resp, answer, err := u.do(req)
	if err != nil {
		return wire.Receipt{}, err
	}
	receipt, err := parseResponse(resp.StatusCode, resp.Header, answer, n, id, token) // which must not come back in a log
	if d, ok := err.(*denied); ok && u.Token.Problem() != nil {
		d.why += "; the file with a new one is not used: " + u.Token.Problem().Error()
	}
	between, other := err.(*intermediary)
	u.identity.observe(resp, err == nil || !other && resp.StatusCode < 500)
	if other {
		between.recent = u.identity.recent
	}
	if err == nil {
		u.refill.note(&receipt)
		u.version = cmp.Or(resp.Header.Get(wire.VersionHeader), receipt.Version, after(resp.Header.Get("Server"), "sunspool/"), u.version)
	}
	return receipt, err
}

// after returns what follows prefix, "" if text does not begin with it.
func after(text, prefix string) string {
	if rest, ok := strings.CutPrefix(text, prefix); ok {
		return rest
	}
	return ""
}

// zip begins to compress the body of p. The compressor is kept: it is larger than most batches.
func (u *Uploader) zip(p *prepared) {
	if u.gzip == nil {
		u.gzip = gzip.NewWriter(&p.packed)
	}
	u.gzip.Reset(&p.packed)
	u.gzip.Write(p.body.Bytes()) // writing to memory does not fail
	p.zipped = true
}

// finish adds the end to the body of p, and returns it plain and, if it is to be compressed, compressed.
func (u *Uploader) finish(p *prepared, end []byte, compress bool) (body, packed []byte) {
	if compress {
		if !p.zipped {
			u.zip(p)
		}
		u.gzip.Write(end)
		u.gzip.Close()
	}
	p.body.Write(end)
	return p.body.Bytes(), p.packed.Bytes()
}

// clip bounds what a server may have us keep.
func clip(s string) string { return s[:min(len(s), maxQuote)] }
