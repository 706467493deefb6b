package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"sunspool/internal/race"
	"sunspool/vps/auth"
	"sunspool/vps/compress"
	"sunspool/vps/live"
	"sunspool/wire"
)

func openAPIDocument(t testing.TB) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(openAPIPage())
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestOpenAPIIsValid(t *testing.T) {
	race.Skip(t, "it reads a document")
	if err := openAPIDocument(t).Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenAPIIsServedToAnybody(t *testing.T) {
	race.Skip(t, "it reads a document")
	b := newBench(t)
	for name, h := range map[string]http.Handler{"the API": b.api, "readers of one device": b.Readers("inv-1")} {
		if w := do(h, "GET", wire.OpenAPIPath, "", nil); w.Code != 200 || w.Header().Get("Content-Type") != "application/yaml" || w.Body.String() != string(openAPIPage()) || w.Header().Get("Content-Encoding") != "" || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		w := do(h, "GET", wire.OpenAPIPath, "", nil, "Accept-Encoding", "gzip")
		if w.Code != 200 || w.Header().Get("Content-Encoding") != "gzip" || !slices.Contains(w.Header().Values("Vary"), "Accept-Encoding") || !bytes.Equal(compress.Unpacked(w.Body.Bytes()), openAPIPage()) {
			t.Errorf("%s, as gzip: %d %v", name, w.Code, w.Header())
		}
	}
}

// TestOpenAPIHasEveryRoute, and no other, and says of each whether it wants a token. What browsers alone ask for is none of the API.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	guards := map[string]string{}
	for _, route := range routesOf(t, "../..") {
		if route.Guard == "Page" {
			continue
		}
		guards[route.Method+" "+route.Path] = route.Guard
	}
	for path, item := range openAPIDocument(t).Paths.Map() {
		for method, operation := range item.Operations() {
			guard, served := guards[method+" "+path]
			delete(guards, method+" "+path)
			switch public := operation.Security != nil && len(*operation.Security) == 0; {
			case !served:
				t.Errorf("%s %s is in openapi.yaml, but not in Handler", method, path)
			case public != (guard == "Public"):
				t.Errorf("%s %s is %s in Handler, and in openapi.yaml public is %v", method, path, guard, public)
			}
		}
	}
	for route := range guards {
		t.Errorf("%s is in Handler, but not in openapi.yaml", route)
	}
}

// TestOpenAPIIsWhatTheHandlersDo holds real requests and their answers against the document, and its examples against
// the answers. Schemas of answers are closed, and every field and every null in them must come once: so a field that is
// renamed is noticed on either side.
func TestOpenAPIIsWhatTheHandlersDo(t *testing.T) {
	race.Skip(t, "one caller after the other")
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/csv", openapi3filter.PlainBodyDecoder) // its own knows commas only
	document := openAPIDocument(t)
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	c := &comparer{document: document, router: router, answers: map[*openapi3.Operation][]int{}, filled: map[string]bool{},
		null: map[string]bool{}, codes: map[any]bool{}, shown: map[*openapi3.Example]bool{}}
	for _, x := range slices.Concat(exchanges, commonRefusals(t)) {
		t.Run(x.method()+" "+strings.TrimPrefix(x.path(), "/v1/")+" "+x.name, func(t *testing.T) { c.compare(t, x) })
	}
	if !t.Failed() {
		c.everythingCame(t)
	}
}

// comparer holds exchanges against the document, and keeps what it saw.
type comparer struct {
	document *openapi3.T
	router   routers.Router

	answers      map[*openapi3.Operation][]int // statuses
	filled, null map[string]bool               // places in schemas of answers that had a value, or null
	codes        map[any]bool                  // of refusals
	shown        map[*openapi3.Example]bool
}

func (c *comparer) compare(t *testing.T, x exchange) {
	b := newVillage(t)
	if x.change != nil {
		x.change(b)
	}
	r, route, params := c.request(t, &x)
	asked := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
			if auth.Bearer(in.RequestValidationInput.Request) == "" {
				return errors.New("no token")
			}
			return nil
		},
		IncludeResponseStatus: true,
		SkipSettingDefaults:   true,
		ExcludeRequestBody:    r.Header.Get("Content-Encoding") == "gzip" && x.status == 0, // it does not unpack
	}}
	if err := openapi3filter.ValidateRequest(t.Context(), asked); (err != nil) != x.refused {
		t.Errorf("the document refuses the request: %v, want %v: %v", err != nil, x.refused, err)
	}

	w := httptest.NewRecorder()
	b.api.ServeHTTP(crowding{w, b, auth.SumOf(auth.Bearer(r))}, r)
	if w.Code != cmp.Or(x.status, 200) {
		t.Fatalf("%d %s, want %d", w.Code, w.Body, cmp.Or(x.status, 200))
	}
	c.answers[route.Operation] = append(c.answers[route.Operation], w.Code)
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: asked, Status: w.Code, Header: w.Header(),
		Body: io.NopCloser(strings.NewReader(w.Body.String())), Options: asked.Options}
	if err := openapi3filter.ValidateResponse(t.Context(), answer); err != nil {
		t.Fatalf("%v\n%s", err, w.Body)
	}
	c.seen(t, x.name, route.Operation.Responses.Status(w.Code).Value, w)
}

// request makes the request of x, of the document's example if it says so.
func (c *comparer) request(t *testing.T, x *exchange) (*http.Request, *routers.Route, map[string]string) {
	token, body := cmp.Or(x.token, viewerAll), x.body
	if x.method() == "POST" && x.target == "" {
		token = cmp.Or(x.token, token1)
	}
	if body == "example" {
		example := c.document.Paths.Value(wire.IngestPath).Post.RequestBody.Value.Content.Get("application/json").Examples[x.name].Value
		c.shown[example] = true
		text, err := json.Marshal(example.Value)
		if err != nil {
			t.Fatal(err)
		}
		body = string(text)
	}
	r := httptest.NewRequest(x.method(), cmp.Or(x.target, wire.IngestPath), strings.NewReader(body))
	if x.target == wire.HealthPath || x.target == wire.ReadyPath {
		r.RemoteAddr = "10.0.0.7:1234" // an orchestrator
	}
	if token != noToken {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(x.headers); i += 2 {
		r.Header.Set(x.headers[i], x.headers[i+1])
	}
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, route, params
}

// crowding opens so many streams with the token of one that has begun that this ends.
type crowding struct {
	http.ResponseWriter
	b     *bench
	token auth.TokenSum // of the stream
}

func (w crowding) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w crowding) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	for range live.MaxStreams / 4 * w.b.live.Count() {
		w.b.live.Subscribe(w.token, "nobody")
	}
}

// seen notes what an answer has, and compares it with the example that has its name.
func (c *comparer) seen(t *testing.T, name string, response *openapi3.Response, w *httptest.ResponseRecorder) {
	content := response.Content.Get(w.Header().Get("Content-Type"))
	var value any = w.Body.String()
	switch {
	case content.Extensions["x-events"] != nil:
		c.events(t, content.Extensions["x-events"].(map[string]any), w.Body.String())
	case w.Header().Get("Content-Type") == "application/json":
		if err := json.Unmarshal(w.Body.Bytes(), &value); err != nil {
			t.Fatal(err)
		}
		c.note(content.Schema, value, "")
	}
	if content.Examples[name] == nil {
		return
	}
	example := content.Examples[name].Value
	c.shown[example] = true
	if normal(t, example.Value) != normal(t, value) {
		t.Errorf("the example %q is not the answer any more, which is\n%s", name, w.Body)
	}
}

func normal(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// events compares the events of a stream with their schemas.
func (c *comparer) events(t *testing.T, schemas map[string]any, stream string) {
	for block := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		_, name, _ := strings.Cut(block, "event: ")
		name, data, found := strings.Cut(name, "\ndata: ")
		ref, known := schemas[name].(string)
		var value any
		if !found || !known || json.Unmarshal([]byte(data), &value) != nil {
			t.Fatalf("an event that the document does not know: %q", block)
		}
		schema := c.named(ref)
		if err := schema.Value.VisitJSON(value); err != nil {
			t.Errorf("%s: %v", block, err)
		}
		c.note(schema, value, "")
	}
}
