//! Storage on DynamoDB.
