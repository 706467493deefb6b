// Package answer prints what a command answers: text for people, or one JSON document for programs. The documents are in
// docs/command-json.yaml: a name may be added to one, and none is renamed.
package answer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sunspool/health"
)

// Print prints v as JSON if that is wanted, else text as a line.
func Print(out io.Writer, asJSON bool, v any, text string) error {
	if asJSON {
		return json.NewEncoder(out).Encode(v)
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// Failure is an error as a program reads it, on standard error.
type Failure struct {
	Error struct {
		Code string   `json:"code"`
		Exit int      `json:"exit"` // the exit status
		What string   `json:"what"`
		Why  string   `json:"why"`
		Next []string `json:"next"` // what to do: commands or words
	} `json:"error"`
}

// FailureOf is err as a program reads it. An error that has no code of its own is called failed.
func FailureOf(err error) (f Failure) {
	f.Error.Code, f.Error.Exit, f.Error.What, f.Error.Next = "failed", 1, err.Error(), []string{}
	fault, ok := errors.AsType[*health.Fault](err)
	if !ok {
		return f
	}
	if f.Error.What, f.Error.Why = fault.What, fault.Why; f.Error.Why == "" && fault.Err != nil {
		f.Error.Why = fault.Err.Error()
	}
	if fault.Code != "" {
		f.Error.Code = fault.Code
	}
	if fault.Exit != 0 {
		f.Error.Exit = fault.Exit
	}
	if fault.Next != "" {
		f.Error.Next = append(f.Error.Next, fault.Next)
	}
	return f
}
