package reference

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// curl is the request of a command line.
type curl struct {
	method, url, body string
	header            http.Header
	toFile            bool
}

// parseCurl returns the request of a curl command. It knows the options that the pages use, and refuses all others.
func parseCurl(command string, variables map[string]string) (curl, error) {
	words, err := shellWords(command, variables)
	if err != nil || len(words) == 0 || words[0] != "curl" {
		return curl{}, fmt.Errorf("no curl command (%w): %s", err, command)
	}
	c := curl{header: http.Header{"User-Agent": {"curl/8.5.0"}, "Accept": {"*/*"}}}
	for words = words[1:]; len(words) > 0; words = words[1:] {
		option := words[0]
		if !strings.HasPrefix(option, "-") {
			if c.url != "" {
				return c, fmt.Errorf("two addresses: %s and %s", c.url, option)
			}
			c.url = option
			continue
		}
		if option == "-s" || option == "-sN" { // no progress; events are printed as they come
			continue
		}
		if len(words) < 2 {
			return c, fmt.Errorf("%s has no value", option)
		}
		words = words[1:]
		value := words[0]
		switch option {
		case "-X":
			c.method = value
		case "-H":
			name, text, ok := strings.Cut(value, ": ")
			if !ok {
				return c, fmt.Errorf("-H %s is no header", value)
			}
			c.header.Set(name, text)
		case "-d":
			c.body = value
		case "-o":
			c.toFile = true
		default:
			return c, fmt.Errorf("the option %s of curl is not known here", option)
		}
	}
	if c.body != "" && c.header.Get("Content-Type") == "" {
		c.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	switch {
	case c.method != "":
	case c.body != "":
		c.method = http.MethodPost
	default:
		c.method = http.MethodGet
	}
	return c, nil
}

// shellWords splits a command as a shell does: by spaces, with both kinds of quotes, $NAME and lines that continue. What else a
// shell would give a meaning to has to be in quotes.
func shellWords(command string, variables map[string]string) (words []string, err error) {
	var word strings.Builder
	inside, quote := false, byte(0)
	for i := 0; i < len(command); i++ {
		c := command[i]
		switch {
		case quote == '\'' && c != quote, quote == '"' && c != quote && c != '$' && c != '\\':
			word.WriteByte(c)
		case c == quote:
			quote = 0
		case c == '\'' || c == '"':
			quote, inside = c, true
		case c == '$':
			name := command[i+1:]
			if end := strings.IndexFunc(name, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') }); end >= 0 {
				name = name[:end]
			}
			value, ok := variables[name]
			if !ok {
				return nil, fmt.Errorf("$%s has no value", name)
			}
			word.WriteString(value)
			i, inside = i+len(name), true
		case c == '\\' && strings.HasPrefix(command[i+1:], "\n"):
			i++
		case c == ' ' || c == '\n':
			if inside {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		case strings.IndexByte("\\&|;<>()*?[]#~`!{}", c) >= 0:
			return nil, fmt.Errorf("%c is not in quotes", c)
		default:
			word.WriteByte(c)
			inside = true
		}
	}
	if quote != 0 || inside {
		return nil, errors.New("a quote or a line is not ended")
	}
	return words, nil
}
