package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

const width = 120 // of a line of JSON in a page

// layOut returns a JSON text with line breaks and indentation for people. It adds white space between tokens and changes
// nothing else: what it returns, compacted, must be the text again.
func layOut(text []byte) (string, error) {
	p := parser{text: text}
	v, err := p.value()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	v.write(&b, 0)
	var again bytes.Buffer
	if err := json.Compact(&again, []byte(b.String())); err != nil {
		return "", err
	}
	if !bytes.Equal(again.Bytes(), text) {
		return "", errors.New("the JSON of the answer has white space, or something after it")
	}
	return b.String(), nil
}

// node is a JSON value: a token, or an array or object with its members.
type node struct {
	token    string // with what opens an array or object
	name     string // of a member of an object, with its quotes
	members  []node
	together string // on one line
}

// parser reads compact JSON. Its text is valid: json.Compact looks at the result.
type parser struct {
	text []byte
	at   int
}

var errCut = errors.New("the JSON is cut off")

func (p *parser) value() (node, error) {
	if p.at >= len(p.text) {
		return node{}, errCut
	}
	open := p.text[p.at]
	if open != '{' && open != '[' {
		token, err := p.token()
		return node{token: token, together: token}, err
	}
	n := node{token: string(open)}
	p.at++
	for {
		if p.at >= len(p.text) {
			return n, errCut
		}
		switch p.text[p.at] {
		case '}', ']':
			p.at++
			n.together = n.token + n.line() + n.closing()
			return n, nil
		case ',':
			p.at++
		}
		var name string
		if open == '{' {
			token, err := p.token()
			if err != nil {
				return n, err
			}
			name = token
			p.at++ // the colon
		}
		member, err := p.value()
		if err != nil {
			return n, err
		}
		member.name = name
		n.members = append(n.members, member)
	}
}

// token reads a text, a number or a word.
func (p *parser) token() (string, error) {
	start := p.at
	if p.text[start] != '"' {
		for p.at < len(p.text) && strings.IndexByte(",:]}", p.text[p.at]) < 0 {
			p.at++
		}
		return string(p.text[start:p.at]), nil
	}
	for p.at++; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '\\':
			p.at++
		case '"':
			p.at++
			return string(p.text[start:p.at]), nil
		}
	}
	return "", errCut
}

func (n *node) closing() string {
	if n.token == "{" {
		return "}"
	}
	return "]"
}

// line is all members on one line.
func (n *node) line() string {
	var all []string
	for i := range n.members {
		all = append(all, n.members[i].label()+n.members[i].together)
	}
	return strings.Join(all, ", ")
}

func (n *node) label() string {
	if n.name == "" {
		return ""
	}
	return n.name + ": "
}

// write writes a value that begins at a column of its line. What is too long for the line has its members on the lines below: as
// many on each as have room, and objects of a list, and what is too long for a line of its own, on lines of their own.
func (n *node) write(b *strings.Builder, indent int) {
	line := b.String()[strings.LastIndexByte(b.String(), '\n')+1:]
	if len(line)+len(n.together) < width || n.members == nil {
		b.WriteString(n.together)
		return
	}
	b.WriteString(n.token)
	inner := indent + 2
	column := width // nothing has room on the line of the bracket
	for i := range n.members {
		m := &n.members[i]
		length := len(m.label()) + len(m.together) + 1
		alone := n.token == "[" && m.members != nil || inner+length > width
		if alone || column+1+length > width {
			b.WriteString("\n" + strings.Repeat(" ", inner))
			column = inner
		} else {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(m.label())
		m.write(b, inner)
		if i < len(n.members)-1 {
			b.WriteByte(',')
		}
		if column += length; alone {
			column = width
		}
	}
	b.WriteString("\n" + strings.Repeat(" ", indent) + n.closing())
}
