package reference

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestCurlIsReadAsAShellDoes(t *testing.T) {
	c, err := parseCurl("curl -s 'https://example.org/a?b=c&d=\"e\"' \\\n  -H \"X: $NAME's\" -d '{\"a\": 1,\n \"b\": 2}'\n", map[string]string{"NAME": "v&w"})
	if err != nil || c.method != "POST" || c.url != `https://example.org/a?b=c&d="e"` || c.header.Get("X") != "v&w's" || c.body != "{\"a\": 1,\n \"b\": 2}" {
		t.Errorf("%+v %v", c, err)
	}
	for _, wrong := range []string{"curl https://example.org/?a", "curl a b\n", "curl --compressed a\n", "curl $NONE\n", "curl 'a\n", "wget a\n", "curl a -H x\n", "curl \"a\\b\"\n"} {
		if c, err := parseCurl(wrong, nil); err == nil {
			t.Errorf("%q is taken: %+v", wrong, c)
		}
	}
}

func TestLayoutAddsWhiteSpaceAlone(t *testing.T) {
	long := strings.Repeat(`"a\\\" ,]}",`, 30)
	for _, text := range []string{`{}`, `[]`, `7`, `null`, `""`, `{"a":[` + long + `{"b":[[1,2],[]]},-1.5e+07]}`, `[{"a":` + `[` + long + `0]}]`} {
		shown, err := layOut([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var again bytes.Buffer
		if err := json.Compact(&again, []byte(shown)); err != nil || again.String() != text {
			t.Errorf("%s becomes\n%s", text, shown)
		}
		for line := range strings.Lines(shown) {
			if len(line) > width+1 {
				t.Errorf("a line of %d bytes: %s", len(line), line)
			}
		}
	}
	for _, text := range []string{``, `{`, `{"a":1`, `{"a": 1}`, `[1]x`, `"a`} {
		if shown, err := layOut([]byte(text)); err == nil {
			t.Errorf("%q is laid out as %s", text, shown)
		}
	}
}
