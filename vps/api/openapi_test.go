package api

import (
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

	"sunspool/vps/auth"
	"sunspool/vps/live"
	"sunspool/wire"
)

func openAPIDocument(t testing.TB) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(openAPIPage)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestOpenAPIIsValid(t *testing.T) {
	if err := openAPIDocument(t).Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenAPIIsServedToAnybody(t *testing.T) {
	b := newBench(t)
	for name, h := range map[string]http.Handler{"the API": b.api, "readers of one device": b.Readers("inv-1")} {
		if w := do(h, "GET", wire.OpenAPIPath, "", nil); w.Code != 200 || w.Header().Get("Content-Type") != "application/yaml" || w.Body.String() != string(openAPIPage) {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

// TestOpenAPIHasEveryRoute, and no other, and says of each whether it wants a token.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	guards := map[string]string{}
	for _, route := range routesOf(t, "../..") {
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
	if x.method() == "POST" {
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
		w.b.live.Subscribe("nobody", w.token)
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

const schemaRef = "#/components/schemas/"

// named is the schema that ref names where the document's own rules do not look for one.
func (c *comparer) named(ref string) *openapi3.SchemaRef {
	return &openapi3.SchemaRef{Ref: ref, Value: c.document.Components.Schemas[strings.TrimPrefix(ref, schemaRef)].Value}
}

// place is where a schema is: an object that has a name is the same wherever it is.
func place(schema *openapi3.SchemaRef, path string) string {
	if schema.Ref != "" && schema.Value.Type.Is("object") {
		return strings.TrimPrefix(schema.Ref, schemaRef)
	}
	return path
}

// note remembers which places of a schema v fills, and where it has null.
func (c *comparer) note(schema *openapi3.SchemaRef, v any, path string) {
	path = place(schema, path)
	if v == nil {
		c.null[path] = true
		return
	}
	c.filled[path] = true
	if schema.Ref == schemaRef+"Code" {
		c.codes[v] = true
	}
	for _, part := range schema.Value.AllOf {
		c.note(part, v, path)
	}
	for _, choice := range schema.Value.OneOf {
		if choice.Value.VisitJSON(v) == nil {
			c.note(choice, v, path)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if schema.Value.Properties[name] != nil {
				c.note(schema.Value.Properties[name], member, path+"."+name)
			}
		}
	case []any:
		for _, element := range v {
			if schema.Value.Items != nil {
				c.note(schema.Value.Items, element, path+"[]")
			}
		}
	}
}

// everythingCame reports what the document has and no exchange showed.
func (c *comparer) everythingCame(t *testing.T) {
	visited := map[string]bool{}
	examples := func(where string, content openapi3.Content) {
		for _, media := range content {
			for name, example := range media.Examples {
				if !c.shown[example.Value] {
					t.Errorf("%s: the example %q is nobody's answer", where, name)
				}
			}
		}
	}
	for path, item := range c.document.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody != nil {
				examples(method+" "+path, operation.RequestBody.Value.Content)
			}
			for status, response := range operation.Responses.Map() {
				where := method + " " + path + " " + status
				if code, err := strconv.Atoi(status); err != nil || !slices.Contains(c.answers[operation], code) {
					t.Errorf("%s never came", where)
				}
				examples(where, response.Value.Content)
				if media := response.Value.Content["application/json"]; media != nil {
					c.came(t, media.Schema, "", visited)
				}
				if media := response.Value.Content["text/event-stream"]; media != nil {
					for _, ref := range media.Extensions["x-events"].(map[string]any) {
						c.came(t, c.named(ref.(string)), "", visited)
					}
				}
			}
		}
	}
	for _, code := range c.document.Components.Schemas["Code"].Value.Enum {
		if !c.codes[code] {
			t.Errorf("the code %v never came", code)
		}
	}
}

// came reports which places of a schema were never filled or never null, and objects that are not closed.
func (c *comparer) came(t *testing.T, schema *openapi3.SchemaRef, path string, visited map[string]bool) {
	if path = place(schema, path); visited[path] && path != "" {
		return
	}
	visited[path] = true
	s := schema.Value
	if !c.filled[path] {
		t.Errorf("%s never came", path)
	}
	if s.Nullable && !c.null[path] {
		t.Errorf("%s was never null", path)
	}
	if s.Type.Is("object") && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
		t.Errorf("%s is not closed: fields that it does not have would go unnoticed", path)
	}
	for _, part := range slices.Concat(s.AllOf, s.OneOf) {
		c.came(t, part, path, map[string]bool{})
	}
	for name, member := range s.Properties {
		c.came(t, member, path+"."+name, visited)
	}
	if s.Items != nil {
		c.came(t, s.Items, path+"[]", visited)
	}
}
