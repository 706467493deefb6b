package upload

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
)

// readAnswer reads the body of an answer, as far as one may be long. No request asks for compression, but there are
// proxies that compress all the same; what they use is gzip, or the two things that are called deflate. A body that
// cannot be unpacked is returned as it came, with its Content-Encoding.
func readAnswer(resp *http.Response) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	var unpacked io.Reader
	packed := bufio.NewReader(strings.NewReader(string(raw)))
	switch strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))) {
	case "gzip", "x-gzip":
		unpacked, err = gzip.NewReader(packed)
	case "deflate":
		if head, _ := packed.Peek(2); len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			unpacked, err = zlib.NewReader(packed)
		} else {
			unpacked = flate.NewReader(packed)
		}
	default:
		return raw, nil
	}
	if err != nil {
		return raw, nil
	}
	text, err := io.ReadAll(io.LimitReader(unpacked, maxAnswer+1))
	if err != nil {
		return raw, nil
	}
	resp.Header.Del("Content-Encoding")
	return text, nil
}
