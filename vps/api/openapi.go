package api

import (
	_ "embed"
	"sync"

	"sunspool/vps/compress"
	"sunspool/vps/request"
)

// openAPIPacked is openapi.yaml as gzip, a fifth of its size: make docs writes it.
//
//go:embed openapi.yaml.gz
var openAPIPacked []byte

var openAPIPage = sync.OnceValue(func() []byte { return compress.Unpacked(openAPIPacked) })

// openAPI answers GET /openapi.yaml: this API for machines.
func (s *Server) openAPI(c *request.Request) (any, error) {
	c.Header().Set("Content-Type", "application/yaml")
	compress.Serve(c, c.HTTP, openAPIPacked, openAPIPage)
	return nil, nil
}
