package api

import (
	_ "embed"
	"net/http"
	"strconv"

	"sunspool/vps/request"
)

//go:embed openapi.yaml
var openAPIPage []byte

// openAPI answers GET /openapi.yaml: this API for machines.
func (s *Server) openAPI(c *request.Request) (any, error) {
	h := c.Header()
	h.Set("Content-Type", "application/yaml")
	h.Set("Content-Length", strconv.Itoa(len(openAPIPage)))
	c.WriteHeader(http.StatusOK)
	c.Write(openAPIPage)
	return nil, nil
}
