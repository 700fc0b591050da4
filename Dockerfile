# The page and the API of demo.py with the weights that ship, without MindSpore (docs/demo.md)
FROM python:3.11-slim
WORKDIR /project
COPY . .
RUN pip install --no-cache-dir -r requirements-demo.txt onnxruntime
USER nobody
ENV HOME=/tmp
EXPOSE 7860
CMD ["python", "demo.py", "--host", "0.0.0.0", "--port", "7860"]
