package postgres

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// The values of a sample are an object of numbers, of which a year of a device has three million. Package encoding/json takes
// five times as long for them.

// appendValues appends values as JSON. A name that is not plain makes it leave that to json.Marshal.
func appendValues(b []byte, values map[string]float64) ([]byte, error) {
	begin := len(b)
	b = append(b, '{')
	for name, v := range values {
		if !isPlain(name) || math.IsNaN(v) || math.IsInf(v, 0) {
			text, err := json.Marshal(values)
			return append(b[:begin], text...), err
		}
		if len(b) > begin+1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), name...), '"', ':')
		b = strconv.AppendFloat(b, v, 'g', -1, 64)
	}
	return append(b, '}'), nil
}

func isPlain[T string | []byte](name T) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// valuesReader reads what appendValues or PostgreSQL wrote.
type valuesReader struct {
	names map[string]string // which come again and again
	most  int               // values of a sample so far
}

// mostNames bounds what a reader remembers: names are their senders'.
const mostNames = 1000

// read returns the values in text. What is not plain it leaves to json.Unmarshal.
func (r *valuesReader) read(text []byte) (values map[string]float64, err error) {
	values = make(map[string]float64, r.most)
	if r.plain(text, values) {
		r.most = max(r.most, len(values))
		return values, nil
	}
	clear(values)
	err = json.Unmarshal(text, &values)
	return values, err
}

func (r *valuesReader) plain(text []byte, values map[string]float64) bool {
	for first := byte('{'); ; first = ',' {
		text = bytes.TrimLeft(text, " ")
		if len(text) < 2 || text[0] != first {
			return len(text) == 1 && text[0] == '}' && first == ','
		}
		text = bytes.TrimLeft(text[1:], " ")
		if len(text) == 0 || text[0] != '"' {
			return false
		}
		end := bytes.IndexByte(text[1:], '"') + 1
		if end < 1 || !isPlain(text[1:end]) {
			return false
		}
		name := r.name(text[1:end])
		text = bytes.TrimLeft(text[end+1:], " ")
		if len(text) == 0 || text[0] != ':' {
			return false
		}
		text = bytes.TrimLeft(text[1:], " ")
		n := bytes.IndexAny(text, ",} ")
		if n < 1 || text[0] == '+' || text[0] == '.' || len(bytes.Trim(text[:n], "0123456789+-.eE")) > 0 {
			return false
		}
		v, err := strconv.ParseFloat(string(text[:n]), 64)
		if err != nil {
			return false
		}
		values[name] = v
		text = text[n:]
	}
}

// name returns a name as a string.
func (r *valuesReader) name(text []byte) string {
	if name, known := r.names[string(text)]; known {
		return name
	}
	name := string(text)
	if r.names == nil {
		r.names = map[string]string{}
	}
	if len(r.names) < mostNames {
		r.names[name] = name
	}
	return name
}
